// The probe: observes a container from the inside, acts on order, judges nothing.
//
// It is the only file in the test root filesystem and it also runs as a hook, so it must do without
// /proc, /dev, /sys, NSS and dlopen: what can't be observed is null, what can't be done is an
// errno.
#ifndef SEATRIAL_PROBE_H
#define SEATRIAL_PROBE_H

#include <dirent.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/types.h>

enum {
    PROBE_VERSION = 1,
    EXIT_USAGE = 64,           // EX_USAGE of sysexits.h
    EXIT_UNSAID = 69,          // EX_UNAVAILABLE: an act failed, and `quiet` hides its line
    EXIT_NO_MEMORY = 71,       // EX_OSERR
    DESCRIPTOR_LIMIT = 4096,   // the report looks at descriptors below this one
    READ_LIMIT = 64 * 1024,    // what `read` returns at most
    CAPTURE_LIMIT = 16 * 1024, // what `spawn` keeps of each stream
    STDIN_LIMIT = 1024 * 1024, // what `hook` and `wait` keep
};

// A growing byte buffer; zero-initialise it. Running out of memory ends the probe with
// EXIT_NO_MEMORY.
struct text {
    char *data;
    size_t len;
    size_t cap;
};

void text_append(struct text *text, const void *data, size_t len);
void text_free(struct text *text);

// json.c: commas are put where needed; a NULL string is null; a byte is the code point of its
// value.
void json_open(struct text *json, char bracket);
void json_close(struct text *json, char bracket);
void json_key(struct text *json, const char *key);
void json_null(struct text *json);
void json_bool(struct text *json, bool value);
void json_int(struct text *json, long long value);
void json_uint(struct text *json, unsigned long long value);
void json_bytes(struct text *json, const char *data, size_t len);
void json_string(struct text *json, const char *value);
void json_lines(struct text *json, const struct text *value);
void json_fragment(struct text *json, const struct text *fragment);
void member_null(struct text *json, const char *key);
void member_bool(struct text *json, const char *key, bool value);
void member_int(struct text *json, const char *key, long long value);
void member_uint(struct text *json, const char *key, unsigned long long value);
void member_string(struct text *json, const char *key, const char *value);
void member_text(struct text *json, const char *key, const struct text *value);
void member_device(struct text *json, const char *key, dev_t device);

// The entries of a directory in the order of their bytes, without "." and "..".
struct directory {
    struct dirent **entries;
    int count;
};

// files.c: false (or -1) means that errno says why. No descriptor made here outlives an exec.
bool read_up_to(int fd, struct text *into, size_t limit);
bool read_to_end(int fd, struct text *into, size_t limit);
bool read_file(const char *path, struct text *into);
bool read_link(const char *path, struct text *into);
bool read_directory(const char *path, struct directory *into);
void directory_free(struct directory *directory);
int open_for_writing(const char *path, int flags);
ssize_t write_once(int fd, const void *data, size_t len);
bool write_all(int fd, const void *data, size_t len);
const char *file_type(mode_t mode);
void member_file(struct text *json, const char *key, const char *path);
void member_link(struct text *json, const char *key, const char *path);

// report.c and its chapters: each function adds members to an open object.
struct command_line {
    int argc;
    char **argv;
};
extern struct command_line command_line;

void report(struct text *json);
void report_credentials(struct text *json);
void report_capabilities(struct text *json);
void report_scheduling(struct text *json);
void report_descriptors(struct text *json);
void report_terminals(struct text *json);
void report_devices(struct text *json);
void report_status(struct text *json);

// acts.c: an act returns 0, an errno, or one of these.
enum {
    ACT_MISUSED = -1, // an argument is not what it should be: usage, and exit
    ACT_SPOKE = -2,   // the act has printed its own line
};

// What an act gets: its arguments (NULL-terminated), and the members to add to its line.
struct act {
    const char *name;
    int argc;
    char **argv;
    struct text *members;
};

int run_acts(int argc, char **argv);
void print_act(const char *name, int error, const struct text *members);
void print_line(struct text *json);
bool parse_int(const char *text, int *value);
bool parse_id(const char *text, unsigned int *value);
bool parse_long(const char *text, unsigned long *value);

// Set by the act `quiet`.
extern bool quiet;

int act_quiet(struct act *act);
int act_exec(struct act *act);
int act_nice(struct act *act);
int act_drop_bounding(struct act *act);
int act_affinity(struct act *act);
int act_rlimit(struct act *act);
int act_memory_policy(struct act *act);
int act_personality(struct act *act);
int act_unshare(struct act *act);
int act_write(struct act *act);
int act_append(struct act *act);
int act_read(struct act *act);
int act_open(struct act *act);
int act_stat(struct act *act);
int act_stat_target(struct act *act);
int act_list(struct act *act);
int act_readlink(struct act *act);
int act_mkdir(struct act *act);
int act_unlink(struct act *act);
int act_symlink(struct act *act);
int act_mknod(struct act *act);
int act_mount(struct act *act);
int act_umount(struct act *act);
int act_chdir(struct act *act);
int act_chown(struct act *act);
int act_chroot(struct act *act);
int act_statvfs(struct act *act);
int act_wait(struct act *act);
int act_expect_fd(struct act *act);

int act_sethostname(struct act *act);
int act_setuid(struct act *act);
int act_kill(struct act *act);
int act_raise(struct act *act);
int act_syscall(struct act *act);
int act_exit(struct act *act);
int act_say(struct act *act);
int act_pause(struct act *act);
int act_catch(struct act *act);
int act_await(struct act *act);

int act_trapped(struct act *act);
int act_thread(struct act *act);
int act_traced(struct act *act);
int act_int80(struct act *act);
int act_logged(struct act *act);
int act_handle(struct act *act);

int act_fork_report(struct act *act);
int act_orphan(struct act *act);
int act_spawn(struct act *act);

int act_log(struct act *act);
int act_hook(struct act *act);
int act_mark(struct act *act);

#endif
