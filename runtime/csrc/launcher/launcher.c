// Does what it can, and hands over to Python what it can not.
//
// It stands beside the Python that the package is installed for (in <environment>/bin), so that
// its own place says which that is.
#include "launcher.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int refuse(const char *what, const char *path) {
    fprintf(stderr, "seatrial-oci: %s %s: %s\n", what, path, strerror(errno));
    return 1;
}

static int hand_over(int argc, char **argv) {
    static const char python[] = "python3";
    char path[4096];
    ssize_t length = readlink("/proc/self/exe", path, sizeof path - sizeof python);
    if (length < 0)
        return refuse("cannot read", "/proc/self/exe");
    path[length] = 0;
    char *slash = strrchr(path, '/');
    if (!slash)
        return refuse("cannot find the folder of", path);
    strcpy(slash + 1, python);

    // -I: nothing of the caller's environment or working directory is imported.
    static char program[] = "from seatrial.oci.command import command; command()";
    char *head[] = {path, "-I", "-c", program};
    enum { HEAD = sizeof head / sizeof *head };
    char *words[argc + HEAD];
    memcpy(words, head, sizeof head);
    for (int i = 1; i < argc; i++)
        words[HEAD + i - 1] = argv[i];
    words[HEAD + (argc > 0 ? argc - 1 : 0)] = NULL;
    execv(path, words);
    return refuse("cannot execute", path);
}

int main(int argc, char **argv) {
    static const struct {
        const char *verb;
        int (*call)(const struct call *call);
    } verbs[] = {
        {"state", do_state}, {"start", do_start}, {"kill", do_kill}, {"delete", do_delete}};
    struct call call;
    if (understand(argc, argv, &call))
        for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
            if (strcmp(call.verb, verbs[i].verb) == 0) {
                int status = verbs[i].call(&call);
                if (status != HAND_OVER)
                    return status;
            }
    return hand_over(argc, argv);
}
