// The command line, as far as it is plain (seatrial.oci.command.parse understands the rest).
#include "launcher.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// Cuts a leading option `--name VALUE`, `--name=VALUE` off the words.
static bool takes_value(char ***words, const char *name, const char **value) {
    const char *word = (*words)[0] + strspn((*words)[0], "-");
    size_t length = strlen(name);
    if (strncmp(word, name, length) != 0)
        return false;
    if (word[length] == '=') {
        *value = word + length + 1;
        *words += 1;
        return true;
    }
    if (word[length] != 0 || !(*words)[1])
        return false;
    *value = (*words)[1];
    *words += 2;
    return true;
}

static bool is_flag(char ***words, const char *name) {
    if (strcmp((*words)[0] + strspn((*words)[0], "-"), name) != 0)
        return false;
    *words += 1;
    return true;
}

static bool is_option(const char *word) {
    return word && word[0] == '-' && word[1] != 0;
}

static bool is_id(const char *id) {
    size_t length = strlen(id);
    if (length == 0 || length > 255 || strcmp(id, ".") == 0 || strcmp(id, "..") == 0)
        return false;
    return strspn(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+.-") ==
           length;
}

// A number as Python's int() reads the plain ones.
static bool is_number(const char *text, int most, int *number) {
    size_t length = strlen(text);
    if (length == 0 || length > 9 || strspn(text, "0123456789") != length)
        return false;
    *number = (int)strtol(text, NULL, 10);
    return *number <= most;
}

// The options of create and run, as far as a kept plan can be used with them.
static bool take_options(char ***words, struct call *call) {
    bool runs = strcmp(call->verb, "run") == 0;
    enum { MOST_DESCRIPTORS = 1 << 20 };
    const char *number;
    while (is_option((*words)[0])) {
        if (takes_value(words, "bundle", &call->bundle) || takes_value(words, "b", &call->bundle) ||
            takes_value(words, "pid-file", &call->pid_file) || is_flag(words, "no-pivot"))
            continue;
        if (takes_value(words, "preserve-fds", &number)) {
            if (!is_number(number, MOST_DESCRIPTORS, &call->preserve_fds))
                return false;
        } else if (is_flag(words, "no-new-keyring")) {
            call->new_keyring = false;
        } else if (runs && (is_flag(words, "detach") || is_flag(words, "d"))) {
            call->detach = true;
        } else if (runs && is_flag(words, "keep")) {
            call->keep = true;
        } else if (!runs || !is_flag(words, "no-subreaper")) {
            return false;
        }
    }
    // Python takes an empty one for none.
    return *call->bundle != 0;
}

bool understand(int argc, char **argv, struct call *call) {
    *call = (struct call){.root = "/run/seatrial-oci", .log_format = "text", .signal = "TERM"};
    call->words = argv;
    call->bundle = ".";
    call->new_keyring = true;
    const char *usual = call->root;
    if (argc < 2)
        return false;
    char **words = argv + 1;
    bool systemd = false;
    const char *ignored;
    while (is_option(words[0]))
        if (!takes_value(&words, "root", &call->root) && !takes_value(&words, "log", &call->log) &&
            !takes_value(&words, "log-format", &call->log_format) &&
            !takes_value(&words, "rootless", &ignored) && !is_flag(&words, "debug")) {
            if (!is_flag(&words, "systemd-cgroup"))
                return false;
            systemd = true;
        }
    // Where others than root keep theirs is for Python to find out.
    if (call->root == usual && geteuid() != 0)
        return false;
    call->verb = *words++;
    if (!call->verb)
        return false;
    bool deletes = strcmp(call->verb, "delete") == 0;
    while (deletes && is_option(words[0])) {
        if (!is_flag(&words, "force") && !is_flag(&words, "f"))
            return false;
        call->force = true;
    }
    bool makes = strcmp(call->verb, "create") == 0 || strcmp(call->verb, "run") == 0;
    if (makes && (systemd || !take_options(&words, call)))
        return false;
    call->id = *words++;
    if (!call->id || !is_id(call->id) || is_option(call->id))
        return false;
    if (strcmp(call->verb, "kill") == 0 && *words)
        call->signal = *words++;
    return *words == NULL;
}
