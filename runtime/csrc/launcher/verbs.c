// The operations of runtime.md on a container that exists (seatrial.oci.runtime has them too).
#include "launcher.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PATIENCE_S = 10 };

int do_state(const struct call *call) {
    struct record record;
    int folder = open_folder(call);
    if (folder < 0 || !read_record(folder, &record))
        return HAND_OVER;
    enum status status = status_of(&record);
    if (status == UNKNOWN)
        return HAND_OVER;
    char pid[32] = "";
    if (status != STOPPED)
        snprintf(pid, sizeof pid, "  \"pid\": %d,\n", (int)record.pid);
    const bool annotated = *record.annotations;
    int bytes = dprintf(STDOUT_FILENO,
                        "{\n  \"ociVersion\": \"1.3.0\",\n  \"id\": \"%s\",\n"
                        "  \"status\": \"%s\",\n%s  \"bundle\": %s%s%s\n}\n",
                        call->id, word_of(status), pid, record.bundle,
                        annotated ? ",\n  \"annotations\": " : "", record.annotations);
    // What cannot be printed is told by Python, which tries again.
    return bytes > 0 ? 0 : HAND_OVER;
}

int do_kill(const struct call *call) {
    struct record record;
    int number = signal_number(call->signal);
    int folder = open_folder(call);
    if (number == 0 || folder < 0 || !read_record(folder, &record))
        return HAND_OVER;
    int pidfd = (int)syscall(SYS_pidfd_open, record.pid, 0);
    if (pidfd < 0)
        return HAND_OVER;
    // Asked after it was opened: so it is this process that gets the signal.
    enum status status = status_of(&record);
    if (status == STOPPED || status == PAUSED || status == UNKNOWN)
        return HAND_OVER;
    return syscall(SYS_pidfd_send_signal, pidfd, number, NULL, 0) == 0 ? 0 : HAND_OVER;
}

void name_container(const struct call *call, const struct record *record, struct names *names) {
    static char id[260], *members;
    snprintf(id, sizeof id, "\"%s\"", call->id);
    if (asprintf(&members, *record->annotations ? ",\"annotations\":%s" : "%s",
                 record->annotations) < 0)
        members = "";
    *names = (struct names){.id = id, .bundle = record->bundle, .members = members};
}

bool end(const struct record *record) {
    int pidfd = (int)syscall(SYS_pidfd_open, record->pid, 0);
    if (pidfd < 0)
        return errno == ESRCH;
    bool has_ended = true;
    if (is_alive(record)) {
        syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
        struct pollfd ended = {.fd = pidfd, .events = POLLIN};
        has_ended = poll(&ended, 1, PATIENCE_S * 1000) > 0;
    } else {
        has_ended = is_known_dead();
    }
    close(pidfd);
    return has_ended;
}

static long seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec;
}

// Does what is to be done once a container is no more. While others are in its cgroups it waits
// only if that is for it to do.
static struct outcome do_deleted(const struct call *call, const struct record *record,
                                 const struct plan *plan, bool waits_for_others) {
    struct names names;
    name_container(call, record, &names);
    long deadline = seconds() + PATIENCE_S;
    struct outcome outcome;
    struct warnings warnings = {0};
    // A killed task leaves its cgroup a moment after its end is seen.
    while ((outcome = run_later(plan, STAGE_DELETED, 0, "stopped", &names, &warnings)).error ==
               EBUSY &&
           (waits_for_others || cgroups_are_empty(plan)) && seconds() <= deadline)
        sched_yield();
    for (uint32_t i = 0; i < warnings.count; i++)
        warn(call, explain(plan, warnings.met[i]));
    return outcome;
}

// Whether processes of the container have outlived its first: not in a pid namespace of its own,
// where they end with that (pid_namespaces(7)).
static bool are_some_left(const struct plan *plan) {
    return !(plan->header->namespaces & CLONE_NEWPID) && !cgroups_are_empty(plan);
}

// Undoes what create did, and calls the poststop hooks; the process has ended.
static int undo(const struct call *call, const struct record *record, const struct plan *plan) {
    // The container is no more, but what it had is known until it is gone.
    if (renameat(record->folder, "record", record->folder, "forgotten") != 0)
        return HAND_OVER;
    struct outcome outcome = do_deleted(call, record, plan, false);
    if (outcome.error) {
        renameat(record->folder, "forgotten", record->folder, "record");
        // Somebody's processes are in its cgroups.
        if (outcome.error == EBUSY && !cgroups_are_empty(plan))
            return HAND_OVER;
        return fail(call, explain(plan, outcome));
    }
    if (remove_folder(call, record->folder))
        return 0;
    char message[4096];
    snprintf(message, sizeof message, "cannot remove %s/%s: %s", call->root, call->id,
             reason(errno));
    return fail(call, message);
}

int do_delete(const struct call *call) {
    struct record record;
    struct plan plan;
    int folder = open_folder(call);
    if (folder < 0 || !lock_folder(call, folder) || !read_record(folder, &record) ||
        !read_plan(folder, &plan))
        return HAND_OVER;
    enum status status = status_of(&record);
    if (status == PAUSED || status == UNKNOWN || (status != STOPPED && !call->force))
        return HAND_OVER;
    if ((status != STOPPED && !end(&record)) || are_some_left(&plan))
        return HAND_OVER;
    return undo(call, &record, &plan);
}

// The connection to the process that waits, for the last time: its name is gone afterwards.
static int take_start(int folder) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/start.sock", folder);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0 &&
        unlinkat(folder, "start.sock", 0) == 0)
        return fd;
    if (fd >= 0) {
        int error = errno;
        close(fd);
        errno = error;
    }
    return -1;
}

// The container goes with the hook that failed (runtime.md, "Lifecycle").
static int fail_and_destroy(const struct call *call, const struct record *record,
                            const struct plan *plan, struct outcome outcome) {
    delete_by_force(call, record, plan);
    return fail(call, explain(plan, outcome));
}

int start_created(const struct call *call, const struct record *record, const struct plan *plan) {
    int connection = take_start(record->folder);
    if (connection < 0) {
        char message[512];
        if (errno == ENOENT || errno == ECONNREFUSED)
            snprintf(message, sizeof message, "container %s is not waiting for start", call->id);
        else
            snprintf(message, sizeof message,
                     "cannot reach container %s, which waits for start: %s", call->id,
                     reason(errno));
        return fail(call, message);
    }
    const struct listener_request nobody = {.pid = -1, .agent = -1, .state = ""};
    struct outcome outcome = start_container(connection, &nobody);
    if (outcome.error && outcome.op < plan->header->ops && plan->ops[outcome.op].kind == OP_HOOK)
        return fail_and_destroy(call, record, plan, outcome);
    if (outcome.error)
        return fail(call, explain(plan, outcome));
    struct names names;
    name_container(call, record, &names);
    outcome = run_later(plan, STAGE_STARTED, record->pid, "running", &names, NULL);
    return outcome.error ? fail_and_destroy(call, record, plan, outcome) : 0;
}

int do_start(const struct call *call) {
    struct record record;
    struct plan plan;
    int folder = open_folder(call);
    if (folder < 0 || !lock_folder(call, folder) || !read_record(folder, &record) ||
        !read_plan(folder, &plan))
        return HAND_OVER;
    if (status_of(&record) != CREATED || !record.has_process || record.has_listener)
        return HAND_OVER;
    return start_created(call, &record, &plan);
}

// Takes the hooks out of what is done at the end.
static void drop_hooks(struct plan *plan) {
    // It was made by find_kept, in memory of its own.
    struct plan_header *header = (struct plan_header *)(uintptr_t)plan->header;
    struct op *ops = (struct op *)(uintptr_t)plan->ops;
    uint32_t left = 0;
    for (uint32_t i = 0; i < header->ops; i++)
        if (ops[i].kind != OP_HOOK || ops[i].stage != STAGE_DELETED)
            ops[left++] = ops[i];
    header->ops = left;
}

void undo_create(const struct call *call, const struct record *record, struct plan *plan,
                 struct outcome failed) {
    if (failed.op >= plan->header->ops || plan->ops[failed.op].kind != OP_HOOK)
        drop_hooks(plan);
    const struct outcome outcome = do_deleted(call, record, plan, true);
    char message[8192];
    if (!outcome.error && remove_folder(call, record->folder))
        return;
    snprintf(message, sizeof message, "%s (hint: delete --force %s tries again)",
             outcome.error ? explain(plan, outcome) : reason(errno), call->id);
    warn(call, message);
}

// What Python does with processes that are left in the cgroups, and with a paused container.
static int delete_by_python(const struct call *call) {
    const char *words[] = {
        "seatrial-oci",   "--root", call->root, "--log",  call->log, "--log-format",
        call->log_format, "delete", "--force",  call->id, NULL};
    enum { LOG = 3, AFTER_LOG = 5, COUNT = sizeof words / sizeof *words - 1 };
    int count = COUNT;
    if (!call->log) {
        memmove(words + LOG, words + AFTER_LOG, sizeof words - AFTER_LOG * sizeof *words);
        count -= AFTER_LOG - LOG;
    }
    pid_t pid = new_process();
    if (pid == 0) {
        sigset_t none;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        _exit(hand_over(count, (char **)(uintptr_t)words));
    }
    int status = 1;
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

int delete_by_force(const struct call *call, const struct record *record, const struct plan *plan) {
    struct record now;
    if (flock(record->folder, LOCK_EX) == 0) {
        // Somebody else may have deleted it meanwhile.
        if (faccessat(record->folder, "record", F_OK, 0) != 0 && errno == ENOENT)
            return 0;
        int status = HAND_OVER;
        if (read_record(record->folder, &now) && end(&now) && !are_some_left(plan))
            status = undo(call, &now, plan);
        if (status != HAND_OVER)
            return status;
        flock(record->folder, LOCK_UN);
    }
    return delete_by_python(call);
}
