// The launcher: the command `seatrial-oci`.
//
// What it can do from what create wrote down (start, state, kill, delete) it does itself, without
// starting Python. It does the plain case only: whatever is unusual, or wrong, it hands over to
// Python before anything is touched, so that there is one place that words a refusal.
#ifndef SEATRIAL_LAUNCHER_H
#define SEATRIAL_LAUNCHER_H

#include "../executor.h"

#include <stdbool.h>
#include <time.h>

// A verb's answer: an exit status, or this.
enum { HAND_OVER = -1 };

// arguments.c: the command line, as far as it is plain
struct call {
    const char *root;
    const char *log;
    const char *log_format;
    const char *verb;
    const char *id;
    const char *signal;
    bool force;
    char **words; // all of them
    const char *bundle;
    const char *pid_file; // or NULL
    int preserve_fds;
    bool new_keyring;
    bool detach;
    bool keep;
};

bool understand(int argc, char **argv, struct call *call);

// signals.c: the number of KILL, SIGKILL or 9, in any case; 0 for what is none
int signal_number(const char *name);

// record.c: what create wrote down (seatrial.oci.store.Record)
struct record {
    int folder; // O_RDONLY
    char *content;
    const char *bundle;      // as JSON
    const char *annotations; // as JSON, or empty
    const char *freezer;     // a file, or empty
    pid_t pid;
    uint64_t born; // clock ticks
    bool has_process;
    bool has_listener;
};

enum status { CREATED, RUNNING, PAUSED, STOPPED, UNKNOWN };

// The folder of the container, or -1.
int open_folder(const struct call *call);
// Whether there is a record in the folder, and it is whole.
bool read_record(int folder, struct record *record);
enum status status_of(const struct record *record);
bool is_alive(const struct record *record);
bool is_known_dead(void);
const char *word_of(enum status status);
// The stored plan, or false. It stays mapped.
bool read_plan(int folder, struct plan *plan);
// Takes the container's lock, for as long as the folder is open; false with an errno, ESTALE if
// another folder has its place by then.
bool lock_folder(const struct call *call, int folder);
// Removes the folder and all in it; false with an errno, and then what it takes to undo is there.
bool remove_folder(const struct call *call, int folder);

// Since when a process lives, in clock ticks; 0 for one that has ended or is gone, and where that
// cannot be seen (is_known_dead).
uint64_t born_of(pid_t pid);

// kept.c: the plan that is kept for a bundle (seatrial.oci.kept)
struct kept {
    struct plan plan; // for the container that is asked for; the memory is ours to write to
    const char *config;
    size_t config_bytes;
    const char *bundle;      // as JSON
    const char *annotations; // as JSON, or empty
    const char *warnings;    // each ended by a NUL, then one that is empty
    bool has_process;
};

// Whether there is one, and all that it was made of is as it was.
bool find_kept(const struct call *call, struct kept *kept);
// What find_kept trusts no file to be.
bool is_slot(const void *content, size_t bytes);
const char *slot_facts(const void *slot);
size_t slot_facts_bytes(const void *slot);
// Makes the plan for an id of a slot's template; the memory is from malloc(3).
bool bind_plan(const void *slot, const char *id, struct plan *plan);

// launcher.c: becomes the same command once more, executed where no container can write to it;
// returns where it is there already, or that cannot be had
void execute_again(char **words);
// Executes Python for a command; returns an exit status if that fails.
int hand_over(int argc, char **argv);

// report.c: errors and warnings, on stderr and in the log (seatrial.oci.log)
void print_moment(char *into, size_t room, time_t moment, const char *rest);
int fail(const struct call *call, const char *message);
void warn(const struct call *call, const char *message);
// What an errno means, in lower case.
const char *reason(int error);
// What failed, why, and because of which member of config.json.
const char *explain(const struct plan *plan, struct outcome outcome);

// verbs.c
int do_state(const struct call *call);
int do_start(const struct call *call);
int do_kill(const struct call *call);
int do_delete(const struct call *call);

// The names of a container in the state that hooks read.
void name_container(const struct call *call, const struct record *record, struct names *names);
// Kills the process and waits for its end; whether it has ended, by our doing or before.
bool end(const struct record *record);
// Lets a created container run its program; returns an exit status.
int start_created(const struct call *call, const struct record *record, const struct plan *plan);
// Undoes what create did, after `failed`: the poststop hooks are called only after other hooks.
void undo_create(const struct call *call, const struct record *record, struct plan *plan,
                 struct outcome failed);
// What `delete --force` does with a container of which we still have the folder.
int delete_by_force(const struct call *call, const struct record *record, const struct plan *plan);

// create.c
int do_create(const struct call *call);
int do_run(const struct call *call);

#endif
