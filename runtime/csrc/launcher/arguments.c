// The command line, as far as it is plain (seatrial.oci.command.parse understands the rest).
#include "launcher.h"

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

bool understand(int argc, char **argv, struct call *call) {
    *call = (struct call){.root = "/run/seatrial-oci", .log_format = "text", .signal = "TERM"};
    const char *usual = call->root;
    if (argc < 2)
        return false;
    char **words = argv + 1;
    const char *ignored;
    while (is_option(words[0]))
        if (!takes_value(&words, "root", &call->root) && !takes_value(&words, "log", &call->log) &&
            !takes_value(&words, "log-format", &call->log_format) &&
            !takes_value(&words, "rootless", &ignored) && !is_flag(&words, "debug") &&
            !is_flag(&words, "systemd-cgroup"))
            return false;
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
    call->id = *words++;
    if (!call->id || !is_id(call->id) || is_option(call->id))
        return false;
    if (strcmp(call->verb, "kill") == 0 && *words)
        call->signal = *words++;
    return *words == NULL;
}
