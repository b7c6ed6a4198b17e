// The executor: walks a plan. Between clone and exec there is no allocation and no libc state, only
// system calls; an operation that fails ends with its index and an errno.
#ifndef SEATRIAL_EXECUTOR_H
#define SEATRIAL_EXECUTOR_H

#include "plan.h"

#include <sys/types.h>

// What an operation may need besides itself.
struct context {
    const struct plan *plan;
    pid_t pid;          // of the container process, in the runtime's view
    int root;           // O_PATH of the container's root, in the container process
    int proc;           // a procfs of the container's pid namespace that nobody else sees, or -1
    int null;           // the host's /dev/null, or -1
    int masks[2];       // what hides a file and what hides a folder, plus one; 0 is none (masks.c)
    int console;        // connected console socket, or -1
    int keep;           // descriptors above 2 that the program keeps
    int connection;     // to the caller of start
    bool in_cgroup;     // the process was cloned into its v2 cgroup
    bool is_watched;    // the caller wants to be told of every step
    char program[4096]; // found to be executable, or empty
    int namespaces[16]; // opened, by bit of their type, plus one; 0 is none
    int *slots;         // descriptors left for later operations, plus one; 0 is none (mounts.h)
    uint32_t slot_count;
    void *made;  // what is made in the root filesystem (made.c)
    void *moved; // network devices of the host that are the container's now (network.c), or NULL
    uint64_t root_mount;
    uint64_t own_mount;     // that we were executed from; no program of the container's is there
    uint64_t runtime_mount; // the same of the runtime, if that is another program; or 0
    char **pointers;        // room for argv and environ of the whole plan, made before the clone
    // For the state that hooks read, as JSON: id and bundle with their quotes, and what comes
    // after them (',"annotations":{...}', or nothing).
    const char *id;
    const char *bundle;
    const char *status;
    const char *members;
    struct warnings *warnings; // or NULL
};

// What came of a run of operations: error 0, or an errno and the operation that met it.
struct outcome {
    int32_t error;
    uint32_t op;
};

typedef int handler(struct context *context, const struct op *op);

// stages.c: does all operations of one stage, or those up to the first that fails.
struct outcome run_stage(struct context *context, enum stage stage);
bool has_stage(const struct plan *plan, enum stage stage);
size_t most_strings(const struct plan *plan); // that argv and environ can have, for all of the plan
void *make_room(size_t bytes);                // or MAP_FAILED

// The same for a stage of the runtime's own, after create: for the container process `pid`, or 0.
struct names {
    const char *id;
    const char *bundle;
    const char *members;
};

// Operations that failed and were only to be warned of.
struct warnings {
    uint32_t count;
    struct outcome met[32]; // what comes after these is not told
};

struct outcome run_later(const struct plan *plan, enum stage stage, pid_t pid, const char *status,
                         const struct names *names, struct warnings *warnings);

#ifdef SEATRIAL_COUNT_OPERATIONS
// In builds that are to show what a test has touched (csrc/fuzz/, tests/faults/): `op` is about to
// be done; NULL: none is.
void count_operation(const struct plan *plan, const struct op *op);
#endif

// operations, by noun; each returns 0 or an errno
handler op_setns, op_write, op_make_directories, op_remove_cgroup, op_attach, op_id_map,
    op_process_file;
handler op_become_root, op_propagation, op_root, op_mount, op_bind, op_mount_propagation, op_device,
    op_symlink, op_pivot, op_mask, op_readonly, op_root_readonly, op_sysctl, op_hostname,
    op_domainname, op_console;
handler op_session, op_umask, op_rlimit, op_scheduler, op_io_priority, op_affinity, op_personality,
    op_memory_policy, op_no_new_privileges, op_bounding, op_groups, op_gid, op_uid, op_capabilities,
    op_ambient, op_seccomp, op_attribute, op_chdir, op_exec;
handler op_hook;
handler op_open_namespace, op_time_namespace, op_loopback, op_net_device, op_keyring, op_program;
handler op_root_tree, op_tree, op_id_mapping, op_remount, op_mount_attributes, op_node_store,
    op_node, op_console_mount;

handler op_enable_controllers, op_owner, op_device_filter, op_systemd, op_cgroup_namespace;
handler op_chroot, op_unmount;

// process.c: cuts a blob of strings into a NULL-terminated vector at `into`
char **strings(const struct plan *plan, uint32_t blob, uint32_t bytes, char **into);

// programs.c
uint64_t mount_of(int directory, const char *path, int flags); // statx(2); 0 if it cannot be said
bool is_ourselves(const struct context *context, const char *path);

// paths.c: inside the container's root nothing leads out (openat2(2), RESOLVE_IN_ROOT)
int open_in_root(const struct context *context, const char *path, int flags);
int make_in_root(const struct context *context, const char *path, bool directory);
int open_parent_in_root(const struct context *context, const char *path, const char **name);

// made.c: what a create that fails takes away again
bool open_made(struct context *context);
void close_made(struct context *context);
void unmake(struct context *context);
void note_root(struct context *context);
void note_made(const struct context *context, int parent, const char *path, bool directory);

// mounts.c
void close_slots(struct context *context);

// cgroups.c
enum { ATTACHES_ITSELF = 2 }; // a flag of OP_ATTACH
int open_cgroup(const struct plan *plan);
struct outcome attach_itself(struct context *context);
// Whether nothing lives in the container's cgroups, and none is below them.
bool cgroups_are_empty(const struct plan *plan);

// folders.c: calls for each entry but "." and ".."; returns the first errno that a call returns, or
// that of reading
typedef int visit(void *with, int folder, const char *name, bool is_folder);
int for_each_entry(int folder, visit *call, void *with);

// files.c
size_t print_decimal(char *into, uint64_t value);
int write_file(int directory, const char *path, const void *data, size_t bytes, int flags);
int write_pid_file(const char *prefix, pid_t pid, const char *name, const void *data, size_t bytes);

// descriptors.c: one descriptor along with the bytes; returns 0 or an errno
int send_descriptor(int socket, const void *data, size_t bytes, int fd);
// like recv(2); `*fd` is the one that came along, or -1
ssize_t receive_descriptor(int socket, void *data, size_t bytes, int *fd);
// closes all but the first three, those that the program keeps, and those of the context and `more`
void close_others(const struct context *context, const int *more, size_t count);

// spawn.c: fork(2), without its library's part: that takes locks, which in the container process
// may be held for ever by a thread of the runtime that is not there
pid_t new_process(void);

// network.c: the end of a create
void settle_net_devices(struct context *context, bool failed);

// masks.c: no more paths to be hidden
void close_masks(struct context *context);

// seccomp.c: how the runtime passes a seccomp listener on, from the container to the agent
struct listener_request {
    pid_t pid;
    int agent; // connected to listenerPath, or -1
    const char *state;
    size_t bytes;
};

int pass_listener(int shared, int connection, const struct listener_request *request);

// kernel.c
const char *missing_call(void);

// spawn.c

// What has come about of a create, as its caller may want to watch it. Keep in step with
// seatrial.oci.events.STEPS.
enum step { STEP_PREPARED, STEP_CLONED, STEP_ADOPTED, STEP_MOUNTED, STEP_HOOKED, STEP_ENTERED };

struct create_request {
    const struct plan *plan;
    // What the container process is until it executes its own program (open_image), closed by
    // create; -1: a copy of the caller, whose memory should then be small.
    int image;
    int listener; // where the container process waits for start
    int console;
    int keep;
    const char *id;
    const char *bundle;
    const char *members;
    // Called in the runtime after each step, unless NULL; false gives the create up. At the last
    // one the caller keeps that the container is there: until then its process does not outlive us.
    bool (*watch)(void *watcher, enum step step, pid_t pid);
    void *watcher;
    bool keeps_only; // it is called at the last step alone, and nobody waits at the others
};

struct create_result {
    struct outcome outcome;
    pid_t pid;
    int pidfd;
};

char **room_for_strings(const struct plan *plan); // or NULL
// The container process, up to its exec, and what makes it where namespaces are entered before.
_Noreturn void be_container(struct context *context, int sync, int listener);
_Noreturn void be_helper(struct context *context, int sync, int listener, int report);

// fresh.c: a program that calls be_given (given.c), by its path; or -1, where there is none or not
// the privilege to execute it safely.
int open_image(const char *program);

void create_container(const struct create_request *request, struct create_result *result);
struct outcome start_container(int connection, const struct listener_request *listener);

#endif
