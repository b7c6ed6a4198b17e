// What is under /dev, two levels deep: names, types and numbers, nothing is opened but directories.
#include "probe.h"

#include <limits.h>
#include <stdio.h>
#include <sys/sysmacros.h>

static void json_device(struct text *json, const char *path, const struct stat *file) {
    json_open(json, '{');
    member_string(json, "path", path);
    member_string(json, "type", file_type(file->st_mode));
    member_uint(json, "mode", file->st_mode & 07777);
    member_uint(json, "uid", file->st_uid);
    member_uint(json, "gid", file->st_gid);
    if (S_ISCHR(file->st_mode) || S_ISBLK(file->st_mode)) {
        member_uint(json, "major", major(file->st_rdev));
        member_uint(json, "minor", minor(file->st_rdev));
    } else {
        member_null(json, "major");
        member_null(json, "minor");
    }
    if (S_ISLNK(file->st_mode))
        member_link(json, "target", path);
    else
        member_null(json, "target");
    json_close(json, '}');
}

static void json_directory(struct text *json, const char *path, const struct directory *directory,
                           int depth) {
    for (int i = 0; i < directory->count; i++) {
        char inner[PATH_MAX];
        struct stat file;
        struct directory below;
        int len = snprintf(inner, sizeof inner, "%s/%s", path, directory->entries[i]->d_name);
        if (len < 0 || (size_t)len >= sizeof inner || lstat(inner, &file) != 0)
            continue; // gone since it was listed
        json_device(json, inner, &file);
        if (S_ISDIR(file.st_mode) && depth > 1 && read_directory(inner, &below)) {
            json_directory(json, inner, &below, depth - 1);
            directory_free(&below);
        }
    }
}

void report_devices(struct text *json) {
    struct directory devices;
    json_key(json, "devices");
    if (!read_directory("/dev", &devices)) {
        json_null(json);
        return;
    }
    json_open(json, '[');
    json_directory(json, "/dev", &devices, 2);
    json_close(json, ']');
    directory_free(&devices);
}
