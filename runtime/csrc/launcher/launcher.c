// The command `seatrial-oci`: hands over to Python.
//
// It stands beside the Python that the package is installed for (in <environment>/bin), so that
// its own place says which that is. The fast path, which executes a kept plan without starting
// Python, will be here; until then every call takes the slow one.
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int fail(const char *what, const char *path) {
    fprintf(stderr, "seatrial-oci: %s %s: %s\n", what, path, strerror(errno));
    return 1;
}

int main(int argc, char **argv) {
    static const char python[] = "python3";
    char path[4096];
    ssize_t length = readlink("/proc/self/exe", path, sizeof path - sizeof python);
    if (length < 0)
        return fail("cannot read", "/proc/self/exe");
    path[length] = 0;
    char *slash = strrchr(path, '/');
    if (!slash)
        return fail("cannot find the folder of", path);
    strcpy(slash + 1, python);

    // -I: nothing of the caller's environment or working directory is imported.
    static char program[] = "from seatrial.oci.command import main; raise SystemExit(main())";
    char *head[] = {path, "-I", "-c", program};
    enum { HEAD = sizeof head / sizeof *head };
    char *words[argc + HEAD];
    memcpy(words, head, sizeof head);
    for (int i = 1; i < argc; i++)
        words[HEAD + i - 1] = argv[i];
    words[HEAD + (argc > 0 ? argc - 1 : 0)] = NULL;
    execv(path, words);
    return fail("cannot execute", path);
}
