// The launcher: the command `seatrial-oci`.
//
// What it can do from what create wrote down (start, state, kill, delete) it does itself, without
// starting Python. It does the plain case only: whatever is unusual, or wrong, it hands over to
// Python before anything is touched, so that there is one place that words a refusal.
#ifndef SEATRIAL_LAUNCHER_H
#define SEATRIAL_LAUNCHER_H

#include "../executor.h"

#include <stdbool.h>

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

enum status { CREATED, RUNNING, PAUSED, STOPPED };

// The folder of the container, or -1.
int open_folder(const struct call *call);
// Whether there is a record in the folder, and it is whole.
bool read_record(int folder, struct record *record);
enum status status_of(const struct record *record);
bool is_alive(const struct record *record);
const char *word_of(enum status status);
// The stored plan, or false. It stays mapped.
bool read_plan(int folder, struct plan *plan);
// Takes the container's lock, for as long as the folder is open; false if it is another's by then.
bool lock_folder(const struct call *call, int folder);
// Removes the folder and all in it; false with an errno, and then what it takes to undo is there.
bool remove_folder(const struct call *call, int folder);

// report.c: errors and warnings, on stderr and in the log (seatrial.oci.log)
int fail(const struct call *call, const char *message);
void warn(const struct call *call, const char *message);
const char *reason(int error);
// What failed, why, and because of which member of config.json.
const char *explain(const struct plan *plan, struct outcome outcome);

// verbs.c
int do_state(const struct call *call);
int do_start(const struct call *call);
int do_kill(const struct call *call);
int do_delete(const struct call *call);

#endif
