// Plans that are kept (seatrial.oci.kept): whether there is one for a bundle, and it still holds.
#include "launcher.h"

#include "../facts/facts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAGIC = 0x544f4c53, VERSION = 1, MOST = 4 << 20, HAS_PROCESS = 1, ROOM = 4096 };

enum section {
    BUILD,
    ROOT,
    BUNDLE,
    BUNDLE_JSON,
    ANNOTATIONS,
    CALLER,
    CONFIG,
    TEMPLATE,
    FACTS,
    WARNINGS,
    SECTIONS
};

struct slot {
    uint32_t magic;
    uint32_t version;
    uint32_t bytes;
    uint32_t unused;
    uint64_t checksum; // of all that follows
    uint64_t flags;
    struct {
        uint32_t at;
        uint32_t bytes;
    } sections[SECTIONS];
};

// The bundle's path without links in it, as os.path.realpath has it.
static bool find_bundle(const char *given, char path[ROOM]) {
    int fd = open(given, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return false;
    const bool found = path_of(fd, path);
    close(fd);
    return found && path[0] == '/';
}

static void name_slot(const char *bundle, bool new_keyring, char name[17]) {
    char key[ROOM + 8] = "";
    size_t bytes = strlen(bundle);
    memcpy(key, bundle, bytes);
    key[bytes] = new_keyring ? 0 : 1;
    snprintf(name, 17, "%016llx", (unsigned long long)checksum(key, (bytes + 8) & ~(size_t)7));
}

// Nobody but us can have written it.
static bool is_ours(int fd, mode_t type, struct stat *found) {
    return fstat(fd, found) == 0 && (found->st_mode & S_IFMT) == type &&
           found->st_uid == geteuid() && (found->st_mode & 077) == 0;
}

static int open_slot(const char *root, const char *name, struct stat *found) {
    char path[ROOM];
    int length = snprintf(path, sizeof path, "%s@plans", root);
    if (length < 0 || (size_t)length >= sizeof path)
        return -1;
    int folder = open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (folder < 0)
        return -1;
    int fd = -1;
    if (is_ours(folder, S_IFDIR, found))
        fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    close(folder);
    // A slot has one name: what has another elsewhere may be changed there.
    if (fd >= 0 && !(is_ours(fd, S_IFREG, found) && found->st_nlink == 1)) {
        close(fd);
        fd = -1;
    }
    return fd;
}

static const char *section(const struct slot *slot, enum section which) {
    return (const char *)slot + slot->sections[which].at;
}

static bool says(const struct slot *slot, enum section which, const void *text, size_t bytes) {
    return slot->sections[which].bytes == bytes && memcmp(section(slot, which), text, bytes) == 0;
}

// Whether it is a slot, and whole: all of its sections are in it, and each is ended by a NUL.
bool is_slot(const void *content, size_t bytes) {
    const struct slot *slot = content;
    if (bytes < sizeof *slot || bytes > MOST || slot->magic != MAGIC || slot->version != VERSION ||
        slot->bytes != bytes || slot->unused != 0 || bytes % 8 != 0)
        return false;
    const size_t head = offsetof(struct slot, flags);
    if (checksum((const char *)content + head, bytes - head) != slot->checksum)
        return false;
    for (int i = 0; i < SECTIONS; i++) {
        uint32_t at = slot->sections[i].at, length = slot->sections[i].bytes;
        if (at % 8 != 0 || at < sizeof *slot || at > bytes || length >= bytes - at ||
            ((const char *)content)[at + length] != 0)
            return false;
    }
    return slot->sections[CALLER].bytes == sizeof(struct caller);
}

static bool is_config(const struct slot *slot, const char *bundle) {
    char path[ROOM + 16];
    struct room content = {0};
    snprintf(path, sizeof path, "%s/config.json", bundle);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    bool same = read_to_end(fd, &content) == 0 && says(slot, CONFIG, content.at, content.bytes);
    close(fd);
    free(content.at);
    return same;
}

const char *slot_facts(const void *slot) {
    return section(slot, FACTS);
}

size_t slot_facts_bytes(const void *slot) {
    return ((const struct slot *)slot)->sections[FACTS].bytes;
}

// Whether all that the plan was made of is the same.
static bool is_current(const struct slot *slot, const struct call *call, const char *bundle) {
    struct caller caller;
    return says(slot, BUILD, build_id(), strlen(build_id())) &&
           says(slot, ROOT, call->root, strlen(call->root)) &&
           says(slot, BUNDLE, bundle, strlen(bundle)) && find_caller(&caller) &&
           says(slot, CALLER, &caller, sizeof caller) && is_config(slot, bundle) &&
           facts_hold(slot_facts(slot), slot_facts_bytes(slot), call->id);
}

bool bind_plan(const void *slot_content, const char *id, struct plan *plan) {
    const struct slot *slot = slot_content;
    const char *why, *from = section(slot, TEMPLATE);
    size_t bytes = slot->sections[TEMPLATE].bytes;
    size_t room = plan_bind(from, bytes, id, NULL, &why);
    void *binary = room ? aligned_alloc(16, (room + 15) & ~(size_t)15) : NULL;
    if (!binary)
        return false;
    plan_bind(from, bytes, id, binary, &why);
    if (plan_open(binary, room, plan, &why) && !missing_call())
        return true;
    free(binary);
    return false;
}

bool find_kept(const struct call *call, struct kept *kept) {
    char bundle[ROOM], name[17];
    const char *said = getenv("SEATRIAL_OCI_CACHE");
    struct stat found;
    if ((said && strcmp(said, "off") == 0) || call->root[0] != '/' ||
        !find_bundle(call->bundle, bundle))
        return false;
    name_slot(bundle, call->new_keyring, name);
    int fd = open_slot(call->root, name, &found);
    if (fd < 0)
        return false;
    size_t bytes = (size_t)found.st_size;
    struct slot *slot = bytes < MOST ? aligned_alloc(16, (bytes + 16) & ~(size_t)15) : NULL;
    bool is_it = slot && read(fd, slot, bytes) == (ssize_t)bytes && is_slot(slot, bytes) &&
                 is_current(slot, call, bundle) && bind_plan(slot, call->id, &kept->plan);
    close(fd);
    if (!is_it) {
        free(slot);
        return false;
    }
    kept->config = section(slot, CONFIG);
    kept->config_bytes = slot->sections[CONFIG].bytes;
    kept->bundle = section(slot, BUNDLE_JSON);
    kept->annotations = section(slot, ANNOTATIONS);
    kept->warnings = section(slot, WARNINGS);
    kept->has_process = slot->flags & HAS_PROCESS;
    return true;
}
