// seatrial.oci._core: the executor for Python, in the stable ABI of 3.11.
#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030b0000
#include <Python.h>

#include "../executor.h"
#include "../facts/facts.h"

#include <errno.h>

#include <dlfcn.h>
#include <string.h>
#include <unistd.h>

static bool open_plan(const char *buffer, Py_ssize_t bytes, struct plan *plan) {
    const char *why;
    if (plan_open(buffer, (size_t)bytes, plan, &why))
        return true;
    PyErr_Format(PyExc_ValueError, "plan %s", why);
    return false;
}

static PyObject *answer(struct outcome outcome) {
    if (!outcome.error)
        Py_RETURN_NONE;
    return Py_BuildValue("(iL)", outcome.error,
                         outcome.op == UINT32_MAX ? -1LL : (long long)outcome.op);
}

// What container processes are at first: beside this module, in bin/. Where it is not, or not for
// this machine, they are copies of the interpreter.
static const char *container_program(void) {
    static const char name[] = "bin/container";
    static char path[4096];
    Dl_info here;
    static int anything;
    if (*path || !dladdr(&anything, &here) || !here.dli_fname)
        return *path ? path : NULL;
    const char *slash = strrchr(here.dli_fname, '/');
    size_t length = slash ? (size_t)(slash + 1 - here.dli_fname) : 0;
    char found[sizeof path];
    if (!length || length + sizeof name > sizeof found)
        return NULL;
    memcpy(found, here.dli_fname, length);
    memcpy(found + length, name, sizeof name);
    if (access(found, X_OK) != 0)
        return NULL;
    memcpy(path, found, length + sizeof name);
    return path;
}

PyDoc_STRVAR(create_doc,
             "create(plan, listener, console, keep, id, bundle, members, watch=None, every=True)"
             "\n--\n\n"
             "Create the container process; return (pid, pidfd, failure or None). watch(step, pid) "
             "is called as it comes about, or not at every step but the last; what it raises gives "
             "the create up.");

struct watcher {
    PyObject *call;
    PyThreadState *thread; // while create does without the interpreter's lock
};

static bool watch_from_python(void *context, enum step step, pid_t pid) {
    struct watcher *watcher = context;
    PyEval_RestoreThread(watcher->thread);
    PyObject *answer = PyObject_CallFunction(watcher->call, "ii", (int)step, (int)pid);
    Py_XDECREF(answer);
    watcher->thread = PyEval_SaveThread();
    return answer;
}

// No process has more: it is the kernel's own limit of fs.nr_open, by default.
enum { MOST_KEPT = 1 << 20 };

static PyObject *core_create(PyObject *self, PyObject *args) {
    (void)self;
    const char *buffer;
    Py_ssize_t bytes;
    struct plan plan;
    struct create_request request = {.plan = &plan, .image = -1};
    struct watcher watcher = {.call = Py_None};
    int every = 1;
    if (!PyArg_ParseTuple(args, "y#iiiyyy|Op:create", &buffer, &bytes, &request.listener,
                          &request.console, &request.keep, &request.id, &request.bundle,
                          &request.members, &watcher.call, &every))
        return NULL;
    if (watcher.call != Py_None) {
        request.watch = watch_from_python;
        request.watcher = &watcher;
        request.keeps_only = !every;
    }
    if (request.keep < 0 || request.keep > MOST_KEPT)
        return PyErr_Format(PyExc_ValueError, "keep must be from 0 to %d", MOST_KEPT);
    if (!open_plan(buffer, bytes, &plan))
        return NULL;
    const char *program = container_program();
    if (program)
        request.image = open_image(program);
    struct create_result result;
    watcher.thread = PyEval_SaveThread();
    create_container(&request, &result);
    PyEval_RestoreThread(watcher.thread);
    if (PyErr_Occurred()) // the watcher's
        return NULL;
    PyObject *failure = answer(result.outcome);
    if (!failure)
        return NULL;
    return Py_BuildValue("(iiN)", (int)result.pid, result.pidfd, failure);
}

PyDoc_STRVAR(start_doc, "start(connection, pid=-1, agent=-1, state=b'')\n--\n\n"
                        "Let a created container run its program; return a failure or None.");

static PyObject *core_start(PyObject *self, PyObject *args) {
    (void)self;
    int connection;
    struct listener_request listener = {.pid = -1, .agent = -1, .state = "", .bytes = 0};
    Py_ssize_t bytes = 0;
    if (!PyArg_ParseTuple(args, "i|iiy#:start", &connection, &listener.pid, &listener.agent,
                          &listener.state, &bytes))
        return NULL;
    listener.bytes = (size_t)bytes;
    struct outcome outcome;
    Py_BEGIN_ALLOW_THREADS outcome = start_container(connection, &listener);
    Py_END_ALLOW_THREADS return answer(outcome);
}

PyDoc_STRVAR(run_doc, "run_stage(plan, stage, pid, id, bundle, status, members, warn=None)\n--\n\n"
                      "Do a stage that belongs to the runtime; return a failure or None.");

static bool tell_warnings(PyObject *warn, const struct warnings *warnings) {
    for (uint32_t i = 0; warn && i < warnings->count; i++) {
        PyObject *done = PyObject_CallFunction(warn, "(iL)", warnings->met[i].error,
                                               (long long)warnings->met[i].op);
        if (!done)
            return false;
        Py_DECREF(done);
    }
    return true;
}

static PyObject *core_run_stage(PyObject *self, PyObject *args) {
    (void)self;
    const char *buffer;
    Py_ssize_t bytes;
    int stage, pid;
    struct plan plan;
    struct names names;
    const char *status;
    PyObject *warn = NULL;
    if (!PyArg_ParseTuple(args, "y#iiyyyy|O:run_stage", &buffer, &bytes, &stage, &pid, &names.id,
                          &names.bundle, &status, &names.members, &warn))
        return NULL;
    if (!open_plan(buffer, bytes, &plan))
        return NULL;
    struct outcome outcome;
    struct warnings warnings = {0};
    Py_BEGIN_ALLOW_THREADS;
    outcome = run_later(&plan, (enum stage)stage, pid, status, &names, &warnings);
    Py_END_ALLOW_THREADS;
    return tell_warnings(warn, &warnings) ? answer(outcome) : NULL;
}

PyDoc_STRVAR(missing_doc, "missing_call()\n--\n\n"
                          "Return the name of a system call that this kernel lacks, or None.");

static PyObject *core_missing_call(PyObject *self, PyObject *none) {
    (void)self, (void)none;
    const char *name = missing_call();
    if (!name)
        Py_RETURN_NONE;
    return PyUnicode_FromString(name);
}

PyDoc_STRVAR(bind_doc, "bind(template, id)\n--\n\n"
                       "Return the plan for the container of this id.");

static PyObject *core_bind(PyObject *self, PyObject *args) {
    (void)self;
    const char *buffer, *id, *why;
    Py_ssize_t bytes;
    if (!PyArg_ParseTuple(args, "y#y:bind", &buffer, &bytes, &id))
        return NULL;
    size_t room = plan_bind(buffer, (size_t)bytes, id, NULL, &why);
    if (!room)
        return PyErr_Format(PyExc_ValueError, "template %s", why);
    PyObject *bound = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)room);
    if (bound)
        plan_bind(buffer, (size_t)bytes, id, PyBytes_AsString(bound), &why);
    return bound;
}

PyDoc_STRVAR(ask_doc, "ask(kind, flags, name)\n--\n\n"
                      "Return the host's answer to a question of facts.h; raise OSError.");

static PyObject *core_ask(PyObject *self, PyObject *args) {
    (void)self;
    unsigned int kind, flags;
    const char *name;
    if (!PyArg_ParseTuple(args, "IIy:ask", &kind, &flags, &name))
        return NULL;
    struct asker asker = {0};
    errno = ask(&asker, kind, flags, name);
    PyObject *answer = errno ? PyErr_SetFromErrnoWithFilename(PyExc_OSError, name)
                             : PyBytes_FromStringAndSize(asker.answer.at ? asker.answer.at : "",
                                                         (Py_ssize_t)asker.answer.bytes);
    forget(&asker);
    return answer;
}

PyDoc_STRVAR(hold_doc,
             "facts_hold(facts, id)\n--\n\n"
             "Return whether the host answers these questions, of a kept plan, as before.");

static PyObject *core_facts_hold(PyObject *self, PyObject *args) {
    (void)self;
    const char *facts, *id;
    Py_ssize_t bytes;
    if (!PyArg_ParseTuple(args, "y#y:facts_hold", &facts, &bytes, &id))
        return NULL;
    return PyBool_FromLong(facts_hold(facts, (size_t)bytes, id));
}

PyDoc_STRVAR(empty_doc, "cgroups_are_empty(plan)\n--\n\n"
                        "Return whether nothing lives in the container's cgroups or below them.");

static PyObject *core_cgroups_are_empty(PyObject *self, PyObject *args) {
    (void)self;
    const char *buffer;
    Py_ssize_t bytes;
    struct plan plan;
    if (!PyArg_ParseTuple(args, "y#:cgroups_are_empty", &buffer, &bytes) ||
        !open_plan(buffer, bytes, &plan))
        return NULL;
    return PyBool_FromLong(cgroups_are_empty(&plan));
}

PyDoc_STRVAR(caller_doc, "caller()\n--\n\n"
                         "Return who we are to the kernel, struct caller of facts.h.");

static PyObject *core_caller(PyObject *self, PyObject *none) {
    (void)self, (void)none;
    struct caller caller;
    if (!find_caller(&caller))
        return PyErr_SetFromErrno(PyExc_OSError);
    return PyBytes_FromStringAndSize((const char *)&caller, sizeof caller);
}

PyDoc_STRVAR(checksum_doc, "checksum(data)\n--\n\n"
                           "Return the sum by which a kept plan shows that it is whole.");

static PyObject *core_checksum(PyObject *self, PyObject *args) {
    (void)self;
    const char *data;
    Py_ssize_t bytes;
    if (!PyArg_ParseTuple(args, "y#:checksum", &data, &bytes))
        return NULL;
    return PyLong_FromUnsignedLongLong(checksum(data, (size_t)bytes));
}

PyDoc_STRVAR(build_doc, "build()\n--\n\n"
                        "Return the name of the executor's sources.");

static PyObject *core_build(PyObject *self, PyObject *none) {
    (void)self, (void)none;
    return PyUnicode_FromString(build_id());
}

static PyMethodDef methods[] = {
    {"create", core_create, METH_VARARGS, create_doc},
    {"start", core_start, METH_VARARGS, start_doc},
    {"ask", core_ask, METH_VARARGS, ask_doc},
    {"facts_hold", core_facts_hold, METH_VARARGS, hold_doc},
    {"cgroups_are_empty", core_cgroups_are_empty, METH_VARARGS, empty_doc},
    {"caller", core_caller, METH_NOARGS, caller_doc},
    {"checksum", core_checksum, METH_VARARGS, checksum_doc},
    {"build", core_build, METH_NOARGS, build_doc},
    {"bind", core_bind, METH_VARARGS, bind_doc},
    {"run_stage", core_run_stage, METH_VARARGS, run_doc},
    {"missing_call", core_missing_call, METH_NOARGS, missing_doc},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, .m_name = "_core",    .m_doc = "The executor of spawn plans.",
    .m_size = 0,           .m_methods = methods,
};

PyMODINIT_FUNC PyInit__core(void) {
    return PyModule_Create(&definition);
}
