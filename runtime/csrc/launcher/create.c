// create and run of a bundle whose plan is kept (seatrial.oci.runtime.create, verbs/run.py).
#include "launcher.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
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

enum { ROOM = 4096 };

// What could not be done, and why.
struct trouble {
    int error;
    const char *verb; // "write" of what is written
    char name[2 * ROOM];
};

static bool write_all(int fd, const void *data, size_t bytes) {
    const char *at = data;
    while (bytes) {
        ssize_t done = write(fd, at, bytes);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return false;
        at += done;
        bytes -= (size_t)done;
    }
    return true;
}

// Writes a file whole or not at all (seatrial.oci.store.write_whole); `place` is the folder's path,
// for words.
static bool write_whole(int folder, const char *place, const char *name, const void *data,
                        size_t bytes, struct trouble *trouble) {
    char fresh[ROOM];
    int length = snprintf(fresh, sizeof fresh, "%s.new", name);
    bool fits = length >= 0 && (size_t)length < sizeof fresh;
    errno = ENAMETOOLONG;
    int fd = fits ? openat(folder, fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666) : -1;
    bool done = fd >= 0 && write_all(fd, data, bytes) && renameat(folder, fresh, folder, name) == 0;
    int error = errno;
    if (fd >= 0)
        close(fd);
    if (done)
        return true;
    if (fits)
        unlinkat(folder, fresh, 0);
    trouble->error = error;
    trouble->verb = "write";
    length =
        snprintf(trouble->name, sizeof trouble->name, "%s%s%s", place, *place ? "/" : "", name);
    return length < 0; // false: there is room for both
}

static int listen_at(int folder, const char *name) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/%s", folder, name);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) == 0 && listen(fd, 1) == 0)
        return fd;
    close(fd);
    return -1;
}

// The time as datetime.isoformat writes it.
static void print_now(char *into, size_t room) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    char rest[24] = "+00:00";
    if (now.tv_nsec >= 1000)
        snprintf(rest, sizeof rest, ".%06ld+00:00", now.tv_nsec / 1000);
    print_moment(into, room, now.tv_sec, rest);
}

// By which file the container is paused, as the plan says it.
static const char *freezer_of(const struct plan *plan) {
    for (uint32_t i = 0; i < plan->header->ops; i++)
        if (plan->ops[i].kind == OP_ATTACH && *plan_string(plan, plan->ops[i].extra))
            return plan_string(plan, plan->ops[i].extra);
    return "";
}

// One create under way.
struct making {
    const struct call *call;
    struct record *record;
    const char *place; // the path of the container's folder
    struct trouble trouble;
};

// The record, as seatrial.oci.store.Record.encode writes it.
static bool write_record(struct making *making) {
    const struct record *record = making->record;
    char *content, now[64];
    print_now(now, sizeof now);
    int bytes = asprintf(
        &content,
        "id=%s%cbundle=%s%cpid=%d%cborn=%llu%ccreated=%s%cprocess=%s%cannotations=%s%clistener=%c"
        "freezer=%s%c",
        making->call->id, 0, record->bundle, 0, (int)record->pid, 0,
        (unsigned long long)record->born, 0, now, 0, record->has_process ? "yes" : "", 0,
        record->annotations, 0, 0, record->freezer, 0);
    if (bytes < 0)
        return false;
    bool done = write_whole(record->folder, making->place, "record", content, (size_t)bytes,
                            &making->trouble);
    free(content);
    return done;
}

// Keeps that there is a container, before its process hears that it may outlive us.
static bool keep_record(void *watcher, enum step step, pid_t pid) {
    (void)step;
    struct making *making = watcher;
    char digits[16];
    int bytes = snprintf(digits, sizeof digits, "%d", (int)pid);
    making->record->pid = pid;
    making->record->born = born_of(pid);
    // Without it nobody could tell, later, that the process is the container's.
    if (!making->record->born && !is_known_dead()) {
        making->trouble = (struct trouble){.error = errno, .verb = "read"};
        snprintf(making->trouble.name, sizeof making->trouble.name, "/proc/%d/stat", (int)pid);
        return false;
    }
    making->trouble = (struct trouble){.error = ENOMEM, .verb = "write", .name = "the record"};
    return write_record(making) &&
           (!making->call->pid_file || write_whole(AT_FDCWD, "", making->call->pid_file, digits,
                                                   (size_t)bytes, &making->trouble));
}

static const char *explain_create(const struct making *making, const struct plan *plan,
                                  struct outcome outcome) {
    static char message[2 * ROOM + 168];
    if (outcome.error != ECANCELED || outcome.op != UINT32_MAX)
        return explain(plan, outcome);
    snprintf(message, sizeof message, "cannot %s %s: %s", making->trouble.verb,
             making->trouble.name, reason(making->trouble.error));
    return message;
}

static int refuse_entry(void *with, int folder, const char *name, bool is_folder) {
    (void)with, (void)folder, (void)name, (void)is_folder;
    return ENOTEMPTY;
}

static bool is_empty(int folder) {
    return for_each_entry(folder, refuse_entry, NULL) == 0;
}

// The folder of the container, locked, with its plan in it and where it will wait for start; -1 if
// Python is to say why not, and then there is none.
static int make_folder(const struct call *call, const struct kept *kept, const char *place,
                       int *listener) {
    struct trouble ignored;
    if (mkdir(place, 0700) != 0)
        return -1;
    int folder = open(place, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0) {
        rmdir(place);
        return -1;
    }
    // A delete by force may have taken it for what somebody killed has left, and another create
    // may have made it anew: then it is not ours to remove.
    const bool is_locked = lock_folder(call, folder);
    if (!is_locked || !is_empty(folder)) {
        if (is_locked || errno != ESTALE)
            rmdir(place); // it stays if there is something in it
        close(folder);
        return -1;
    }
    // The plan before anything is done: should we be killed, a delete by force knows what to undo.
    if (write_whole(folder, place, "plan", kept->plan.header, kept->plan.header->bytes, &ignored) &&
        write_whole(folder, place, "config.json", kept->config, kept->config_bytes, &ignored) &&
        (*listener = listen_at(folder, "start.sock")) >= 0)
        return folder;
    remove_folder(call, folder);
    close(folder);
    return -1;
}

// What the container process is at first: we ourselves, executed from a mount that is nowhere.
// Where that cannot be had it is a copy of us, who then have to be executed from there (which does
// not return). So do we where all of the host's mounts are the container's too, and it could have
// us for its program.
static int own_image(const struct call *call, const struct plan *plan) {
    int image = plan->header->namespaces & CLONE_NEWNS ? open_image("/proc/self/exe") : -1;
    if (image < 0)
        execute_again(call->words);
    return image;
}

// Makes the container; returns 0 and fills the record, or what the verb is to return.
static int make(const struct call *call, struct kept *kept, int image, struct record *record,
                int *pidfd) {
    char place[ROOM];
    int length = snprintf(place, sizeof place, "%s/%s", call->root, call->id), listener;
    const bool fits = length >= 0 && (size_t)length < sizeof place;
    int folder = fits ? make_folder(call, kept, place, &listener) : -1;
    if (folder < 0)
        return HAND_OVER;
    *record = (struct record){
        .folder = folder,
        .bundle = kept->bundle,
        .annotations = kept->annotations,
        .freezer = freezer_of(&kept->plan),
        .has_process = kept->has_process,
    };
    struct making making = {.call = call, .record = record, .place = place};
    struct names names;
    name_container(call, record, &names);
    for (const char *warning = kept->warnings; *warning; warning += strlen(warning) + 1)
        warn(call, warning);
    const struct create_request request = {
        .plan = &kept->plan,
        .image = image,
        .listener = listener,
        .console = -1,
        .keep = call->preserve_fds,
        .id = names.id,
        .bundle = names.bundle,
        .members = names.members,
        .watch = keep_record,
        .watcher = &making,
        .keeps_only = true,
    };
    struct create_result result;
    create_container(&request, &result);
    close(listener);
    *pidfd = result.pidfd;
    if (!result.outcome.error)
        return 0;
    char *message = strdup(explain_create(&making, &kept->plan, result.outcome));
    undo_create(call, record, &kept->plan, result.outcome);
    return fail(call, message ? message : "out of memory");
}

int do_create(const struct call *call) {
    struct kept kept;
    struct record record;
    int pidfd;
    if (!find_kept(call, &kept))
        return HAND_OVER;
    return make(call, &kept, own_image(call, &kept.plan), &record, &pidfd);
}

// Waits for the program's end, handing on every signal that we get; returns its exit status as a
// shell would.
static int wait_for(pid_t pid, int pidfd, const sigset_t *signals) {
    int status = 0;
    // They are blocked by now: an end that is not seen yet comes as SIGCHLD.
    while (waitpid(pid, &status, WNOHANG) == 0) {
        int number = sigwaitinfo(signals, NULL);
        if (number > 0 && number != SIGCHLD)
            syscall(SYS_pidfd_send_signal, pidfd, number, NULL, 0);
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int do_run(const struct call *call) {
    struct kept kept;
    struct record record;
    int pidfd;
    if (!find_kept(call, &kept) || !kept.has_process)
        return HAND_OVER;
    int image = own_image(call, &kept.plan);
    // Kept back from here on, so that none ends us while there is something to undo; the program
    // gets them as soon as it runs.
    sigset_t signals, before;
    sigfillset(&signals);
    sigdelset(&signals, SIGPIPE);
    sigdelset(&signals, SIGURG);
    signal(SIGCHLD, SIG_DFL);
    sigprocmask(SIG_SETMASK, &signals, &before);
    int status = make(call, &kept, image, &record, &pidfd);
    if (status == HAND_OVER)
        sigprocmask(SIG_SETMASK, &before, NULL);
    if (status != 0)
        return status;
    status = start_created(call, &record, &kept.plan);
    if (status != 0) {
        delete_by_force(call, &record, &kept.plan);
        return status;
    }
    flock(record.folder, LOCK_UN);
    if (call->detach)
        return 0;
    status = wait_for(record.pid, pidfd, &signals);
    return call->keep || delete_by_force(call, &record, &kept.plan) == 0 ? status : 1;
}
