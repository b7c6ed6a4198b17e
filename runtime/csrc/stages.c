// The operations of a plan, stage by stage: which function does which.
#include "executor.h"

#include <errno.h>
#include <sys/mman.h>

static handler *const handlers[OP_COUNT] = {
    [OP_SETNS] = op_setns,
    [OP_WRITE] = op_write,
    [OP_MAKE_DIRECTORIES] = op_make_directories,
    [OP_REMOVE_CGROUP] = op_remove_cgroup,
    [OP_ATTACH] = op_attach,
    [OP_ID_MAP] = op_id_map,
    [OP_PROCESS_FILE] = op_process_file,
    [OP_BECOME_ROOT] = op_become_root,
    [OP_PROPAGATION] = op_propagation,
    [OP_ROOT] = op_root,
    [OP_MOUNT] = op_mount,
    [OP_BIND] = op_bind,
    [OP_MOUNT_PROPAGATION] = op_mount_propagation,
    [OP_DEVICE] = op_device,
    [OP_SYMLINK] = op_symlink,
    [OP_HOOK] = op_hook,
    [OP_PIVOT] = op_pivot,
    [OP_MASK] = op_mask,
    [OP_READONLY] = op_readonly,
    [OP_ROOT_READONLY] = op_root_readonly,
    [OP_SYSCTL] = op_sysctl,
    [OP_HOSTNAME] = op_hostname,
    [OP_DOMAINNAME] = op_domainname,
    [OP_CONSOLE] = op_console,
    [OP_SESSION] = op_session,
    [OP_UMASK] = op_umask,
    [OP_RLIMIT] = op_rlimit,
    [OP_SCHEDULER] = op_scheduler,
    [OP_IO_PRIORITY] = op_io_priority,
    [OP_AFFINITY] = op_affinity,
    [OP_PERSONALITY] = op_personality,
    [OP_MEMORY_POLICY] = op_memory_policy,
    [OP_NO_NEW_PRIVILEGES] = op_no_new_privileges,
    [OP_BOUNDING] = op_bounding,
    [OP_GROUPS] = op_groups,
    [OP_GID] = op_gid,
    [OP_UID] = op_uid,
    [OP_CAPABILITIES] = op_capabilities,
    [OP_AMBIENT] = op_ambient,
    [OP_SECCOMP] = op_seccomp,
    [OP_ATTRIBUTE] = op_attribute,
    [OP_CHDIR] = op_chdir,
    [OP_EXEC] = op_exec,
    [OP_OPEN_NAMESPACE] = op_open_namespace,
    [OP_TIME_NAMESPACE] = op_time_namespace,
    [OP_LOOPBACK] = op_loopback,
    [OP_NET_DEVICE] = op_net_device,
    [OP_KEYRING] = op_keyring,
    [OP_PROGRAM] = op_program,
    [OP_ATTACH_TASK] = op_attach,
    [OP_ROOT_TREE] = op_root_tree,
    [OP_TREE] = op_tree,
    [OP_ID_MAPPING] = op_id_mapping,
    [OP_REMOUNT] = op_remount,
    [OP_MOUNT_ATTRIBUTES] = op_mount_attributes,
    [OP_NODE_STORE] = op_node_store,
    [OP_NODE] = op_node,
    [OP_CONSOLE_MOUNT] = op_console_mount,
    [OP_ENABLE_CONTROLLERS] = op_enable_controllers,
    [OP_OWNER] = op_owner,
    [OP_DEVICE_FILTER] = op_device_filter,
    [OP_SYSTEMD] = op_systemd,
    [OP_CGROUP_NAMESPACE] = op_cgroup_namespace,
    [OP_CHROOT] = op_chroot,
    [OP_UNMOUNT] = op_unmount,
};

struct outcome run_stage(struct context *context, enum stage stage) {
    const struct plan *plan = context->plan;
    for (uint32_t i = 0; i < plan->header->ops; i++) {
        const struct op *op = &plan->ops[i];
        if (op->stage < (uint32_t)stage)
            continue;
        if (op->stage > (uint32_t)stage)
            break;
#ifdef SEATRIAL_COUNT_OPERATIONS
        count_operation(plan, op);
#endif
        int error = handlers[op->kind](context, op);
#ifdef SEATRIAL_COUNT_OPERATIONS
        count_operation(plan, NULL);
#endif
        if (error)
            return (struct outcome){.error = error, .op = i};
    }
    return (struct outcome){0};
}

bool has_stage(const struct plan *plan, enum stage stage) {
    for (uint32_t i = 0; i < plan->header->ops; i++)
        if (plan->ops[i].stage == (uint32_t)stage)
            return true;
    return false;
}

// A string takes at least a byte, so this is room for all of them; untouched pages cost nothing.
size_t most_strings(const struct plan *plan) {
    return (size_t)plan->heap_bytes + 4;
}

void *make_room(size_t bytes) {
    return mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

char **room_for_strings(const struct plan *plan) {
    void *room = make_room(most_strings(plan) * sizeof(char *));
    return room == MAP_FAILED ? NULL : room;
}

struct outcome run_later(const struct plan *plan, enum stage stage, pid_t pid, const char *status,
                         const struct names *names, struct warnings *warnings) {
    struct context context = {.plan = plan,
                              .pid = pid,
                              .root = -1,
                              .proc = -1,
                              .null = -1,
                              .console = -1,
                              .connection = -1,
                              .id = names->id,
                              .bundle = names->bundle,
                              .members = names->members,
                              .status = status,
                              .warnings = warnings};
    size_t room = most_strings(plan) * sizeof(char *);
    context.pointers = make_room(room);
    if (context.pointers == MAP_FAILED)
        return (struct outcome){.error = errno, .op = UINT32_MAX};
    struct outcome outcome = run_stage(&context, stage);
    munmap(context.pointers, room);
    return outcome;
}
