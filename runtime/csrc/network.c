// Network interfaces: loopback, and devices of the host that move into the container.
#include "executor.h"
#include "netlink.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

static int checked(long result) {
    return result < 0 ? errno : 0;
}

int op_loopback(struct context *context, const struct op *op) {
    (void)context, (void)op;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return errno == EAFNOSUPPORT ? 0 : errno;
    struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_LOOPBACK | IFF_RUNNING};
    int error = checked(ioctl(fd, SIOCSIFFLAGS, &request));
    close(fd);
    return error;
}

// One network namespace: a socket in it, which also keeps it alive, and a file that stands for it.
struct side {
    int socket;
    int file;
};

struct device {
    int index; // 0 is none
    unsigned flags;
    char name[IFNAMSIZ];
};

enum { MOST_ADDRESSES = 64 };

struct addresses {
    int index;
    unsigned count;
    bool lost; // there were more
    struct {
        uint32_t bytes;
        bool permanent;
        _Alignas(4) char message[256];
    } each[MOST_ADDRESSES];
};

static bool read_device(void *context, const struct nlmsghdr *message) {
    struct device *device = context;
    struct ifinfomsg info;
    if (message->nlmsg_type != RTM_NEWLINK)
        return true;
    memcpy(&info, NLMSG_DATA(message), sizeof info);
    device->index = info.ifi_index;
    device->flags = info.ifi_flags;
    const struct rtattr *name = find_attribute(message, sizeof info, IFLA_IFNAME);
    if (name)
        memcpy(device->name, RTA_DATA(name),
               RTA_PAYLOAD(name) < IFNAMSIZ ? RTA_PAYLOAD(name) : IFNAMSIZ);
    return false;
}

// By name, or with NULL by index.
static int find_device(int netlink, const char *name, int index, struct device *device) {
    struct request request;
    struct ifinfomsg info = {.ifi_index = name ? 0 : index};
    *device = (struct device){0};
    request_begin(&request, RTM_GETLINK, 0, &info, sizeof info);
    if (name)
        request_add(&request, IFLA_IFNAME, name, strlen(name) + 1);
    return request_send(netlink, &request, read_device, device);
}

// All, of any family and scope. Those with a lifetime came by themselves (by router advertisements,
// DHCP) and are not the container's, but are what the host had.
static bool read_address(void *context, const struct nlmsghdr *message) {
    struct addresses *addresses = context;
    struct ifaddrmsg info;
    if (message->nlmsg_type != RTM_NEWADDR)
        return true;
    memcpy(&info, NLMSG_DATA(message), sizeof info);
    uint32_t flags = info.ifa_flags;
    const struct rtattr *wide = find_attribute(message, sizeof info, IFA_FLAGS);
    if (wide)
        memcpy(&flags, RTA_DATA(wide), sizeof flags);
    if ((int)info.ifa_index != addresses->index)
        return true;
    if (addresses->count == MOST_ADDRESSES ||
        message->nlmsg_len > sizeof addresses->each[0].message) {
        addresses->lost = true;
        return true;
    }
    addresses->each[addresses->count].bytes = message->nlmsg_len;
    addresses->each[addresses->count].permanent = flags & IFA_F_PERMANENT;
    memcpy(addresses->each[addresses->count++].message, message, message->nlmsg_len);
    return true;
}

static int find_addresses(int netlink, int index, struct addresses *addresses) {
    struct request request;
    struct ifaddrmsg info = {.ifa_family = AF_UNSPEC};
    addresses->index = index;
    addresses->count = 0;
    addresses->lost = false;
    request_begin(&request, RTM_GETADDR, NLM_F_DUMP, &info, sizeof info);
    int error = request_send(netlink, &request, read_address, addresses);
    return error ? error : addresses->lost ? E2BIG : 0;
}

// Permanent ones of global scope are what the spec wants kept; all is what there was before, with
// the lifetimes that were left.
static int add_addresses(int netlink, int index, const struct addresses *addresses, bool all) {
    // Not the label, which is the old name, and not what the kernel only reports.
    static const uint16_t kept[] = {IFA_ADDRESS, IFA_LOCAL,       IFA_BROADCAST, IFA_ANYCAST,
                                    IFA_FLAGS,   IFA_RT_PRIORITY, IFA_MULTICAST, IFA_CACHEINFO};
    for (unsigned i = 0; i < addresses->count; i++) {
        const struct nlmsghdr *old = (const void *)addresses->each[i].message;
        struct ifaddrmsg info;
        struct request request;
        memcpy(&info, NLMSG_DATA(old), sizeof info);
        if (!all && (info.ifa_scope != RT_SCOPE_UNIVERSE || !addresses->each[i].permanent))
            continue;
        info.ifa_index = (unsigned)index;
        info.ifa_flags &= (unsigned char)~IFA_F_TENTATIVE;
        request_begin(&request, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, &info, sizeof info);
        for (size_t k = 0; k < sizeof kept / sizeof *kept; k++) {
            const struct rtattr *attribute = find_attribute(old, sizeof info, kept[k]);
            if (!attribute || (kept[k] == IFA_CACHEINFO && !all))
                continue;
            uint32_t flags;
            const void *data = RTA_DATA(attribute);
            if (kept[k] == IFA_FLAGS) {
                memcpy(&flags, data, sizeof flags);
                flags &= ~(uint32_t)(IFA_F_TENTATIVE | IFA_F_DADFAILED);
                data = &flags;
            }
            request_add(&request, kept[k], data, RTA_PAYLOAD(attribute));
        }
        // On the way back one that cannot be had any more does not take the others with it.
        int error = request_send(netlink, &request, NULL, NULL);
        if (error && !all)
            return error;
    }
    return 0;
}

static int set_up(int netlink, int index) {
    struct request request;
    struct ifinfomsg info = {.ifi_index = index, .ifi_flags = IFF_UP, .ifi_change = IFF_UP};
    request_begin(&request, RTM_NEWLINK, 0, &info, sizeof info);
    return request_send(netlink, &request, NULL, NULL);
}

// Moves a device to the other side under the name `name`. Its index is kept where it is free there,
// and chosen by us in any case, as by a template's name we would not know the device again.
static int move_device(const struct side *from, const struct side *to, int device, const char *name,
                       int *index) {
    struct device taken;
    int error;
    if (!strchr(name, '%') && (error = find_device(to->socket, name, 0, &taken)) != ENODEV)
        return error ? error : EEXIST;
    *index = device;
    while ((error = find_device(to->socket, NULL, *index, &taken)) == 0)
        ++*index;
    if (error != ENODEV)
        return error;
    struct request request;
    struct ifinfomsg info = {.ifi_index = device};
    request_begin(&request, RTM_NEWLINK, 0, &info, sizeof info);
    request_add(&request, IFLA_NET_NS_FD, &to->file, sizeof to->file);
    request_add(&request, IFLA_NEW_IFINDEX, index, sizeof *index);
    request_add(&request, IFLA_IFNAME, name, strlen(name) + 1);
    return request_send(from->socket, &request, NULL, NULL);
}

static int open_side(const char *path, struct side *side) {
    side->socket = -1;
    side->file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (side->file < 0)
        return errno;
    side->socket = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    return side->socket < 0 ? errno : 0;
}

// A socket belongs to the namespace that its maker was in.
static int open_other_side(pid_t pid, const struct side *own, struct side *side) {
    char path[64] = "/proc/";
    size_t length = 6 + print_decimal(path + 6, (uint64_t)pid);
    strcpy(path + length, "/ns/net");
    side->socket = -1;
    side->file = open(path, O_RDONLY | O_CLOEXEC);
    if (side->file < 0)
        return errno;
    if (setns(side->file, CLONE_NEWNET) != 0)
        return errno;
    side->socket = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    int error = side->socket < 0 ? errno : 0;
    if (setns(own->file, CLONE_NEWNET) != 0)
        return errno;
    return error;
}

static void close_side(struct side *side) {
    if (side->file >= 0)
        close(side->file);
    if (side->socket >= 0)
        close(side->socket);
}

// What was moved, for as long as the container may yet come to nothing.
struct moved {
    unsigned count;
    struct side inside;
    struct {
        struct device before;
        struct addresses addresses;
        int index;
    } each[32];
};

static struct moved *moved_by(struct context *context) {
    if (!context->moved) {
        void *room = mmap(NULL, sizeof(struct moved), PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (room == MAP_FAILED)
            return NULL;
        context->moved = room;
        ((struct moved *)room)->inside = (struct side){-1, -1};
    }
    return context->moved;
}

// path: the host's name; text: the container's, which may be a template with %d.
int op_net_device(struct context *context, const struct op *op) {
    const char *name = plan_string(context->plan, op->path);
    struct side own;
    struct device device;
    struct moved *moved = moved_by(context);
    if (!moved)
        return ENOMEM;
    int error = open_side("/proc/self/ns/net", &own);
    if (!error && moved->inside.socket < 0) {
        error = open_other_side(context->pid, &own, &moved->inside);
        if (error) {
            close_side(&moved->inside);
            moved->inside = (struct side){-1, -1};
        }
    }
    if (!error && moved->count == sizeof moved->each / sizeof *moved->each)
        error = E2BIG;
    if (!error)
        error = find_device(own.socket, name, 0, &device);
    if (!error) {
        struct addresses *addresses = &moved->each[moved->count].addresses;
        int *index = &moved->each[moved->count].index;
        moved->each[moved->count].before = device;
        error = find_addresses(own.socket, device.index, addresses);
        if (!error)
            error = move_device(&own, &moved->inside, device.index,
                                plan_string(context->plan, op->text), index);
        if (!error)
            moved->count++;
        // Addresses before up, as runc does: nothing is sent from a device without them.
        if (!error)
            error = add_addresses(moved->inside.socket, *index, addresses, false);
        if (!error)
            error = set_up(moved->inside.socket, *index);
    }
    close_side(&own);
    return error;
}

// The end of a create. When it failed, the devices come back as they were: our socket has kept the
// namespace that they are in, whatever has become of the process.
void settle_net_devices(struct context *context, bool failed) {
    struct moved *moved = context->moved;
    struct side own;
    if (!moved)
        return;
    if (failed && moved->count && open_side("/proc/self/ns/net", &own) == 0) {
        while (moved->count) {
            const struct device *before = &moved->each[--moved->count].before;
            int index;
            // Errors have nobody to go to: the one that made create fail is told.
            if (move_device(&moved->inside, &own, moved->each[moved->count].index, before->name,
                            &index) != 0)
                continue;
            add_addresses(own.socket, index, &moved->each[moved->count].addresses, true);
            if (before->flags & IFF_UP)
                set_up(own.socket, index);
        }
        close_side(&own);
    }
    close_side(&moved->inside);
    munmap(moved, sizeof *moved);
    context->moved = NULL;
}
