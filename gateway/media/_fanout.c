/* One RTP packet to many listeners: header, SRTP in place, sendmmsg; without the interpreter while it works.
 *
 * The twin is _fanout_py.py; both pass the same tests and write the same bytes. No crypto library is linked: the
 * address of srtp_protect comes from pylibsrtp, and so do the session handles. Frames with few streams are sent in the
 * caller's thread; larger ones go through a ring of a few frames to one thread, so that the event loop can go on.
 *
 * Locks: `state` guards every Stream's fields against the sending thread; it is held for one batch's headers and
 * encryption at most (64 packets, about 50 us), never over a system call. Reference counts are touched with the GIL only.
 */
#define _GNU_SOURCE
#define PY_SSIZE_T_CLEAN
#ifndef Py_LIMITED_API
#define Py_LIMITED_API 0x030B0000
#endif
#include <Python.h>
#include <structmember.h>

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define BATCH 64
#define RING 5            /* frames of 20 ms that may wait: 100 ms */
#define HEADER 12
#define MAX_PAYLOAD 1275  /* RFC 6716 */
#define TRAILER 160       /* SRTP_MAX_TRAILER_LEN is 144 */
#define FRAME_SAMPLES 960
#define NICE (-10)
#define WAIT_NS 8000000   /* how long a whole frame may wait for room in the socket's buffer */

typedef int (*protect_fn)(void *session, void *packet, int *length);

typedef struct {
    PyObject_HEAD
    PyObject *protector; /* keeps the session alive */
    void *session;       /* NULL = not open */
    int fd;
    socklen_t address_size;
    struct sockaddr_storage address;
    unsigned int ssrc, timestamp, timestamp_shift, sent_at;
    unsigned short sequence, sequence_shift;
    unsigned char payload_type;
    bool is_first, has_sent;
    int tail_left;
    unsigned long long talk, packets, octets, failed;
} Stream;

typedef struct {
    PyObject *streams; /* the tuple, held until the job is reaped */
    Stream **items;
    Py_ssize_t count;
    int length;
    uint16_t sequence;
    uint32_t timestamp, now;
    unsigned long long talk;
    bool is_tail;
    uint8_t payload[MAX_PAYLOAD];
} Job;

typedef struct {
    PyObject_HEAD
    protect_fn protect;
    Py_ssize_t threaded_from; /* 0 = no thread */
    bool has_thread, is_closing;
    pthread_t thread;
    pthread_mutex_t ring_lock;
    pthread_cond_t moved;
    Job *ring[RING];
    unsigned int head, done, tail; /* pushed, finished, reaped: head - tail <= RING */
    unsigned long long frames, dropped;
    uint8_t *buffers;
} Sender;

static pthread_mutex_t state = PTHREAD_MUTEX_INITIALIZER;
static PyTypeObject *stream_type;

static void lock_with_gil(pthread_mutex_t *mutex) {
    if (pthread_mutex_trylock(mutex) == 0) return;
    Py_BEGIN_ALLOW_THREADS
    pthread_mutex_lock(mutex);
    Py_END_ALLOW_THREADS
}

/* ---- Stream ------------------------------------------------------------------------------------------------- */

static int stream_init(Stream *self, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"ssrc", NULL};
    return PyArg_ParseTupleAndKeywords(args, kwargs, "I", names, &self->ssrc) ? 0 : -1;
}

static void stream_dealloc(Stream *self) {
    PyTypeObject *type = Py_TYPE((PyObject *)self);
    Py_CLEAR(self->protector);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
    Py_DECREF(type);
}

static int read_destination(PyObject *destination, int *fd, struct sockaddr_storage *address, socklen_t *size) {
    PyObject *number = PyObject_GetAttrString(destination, "fd");
    if (number == NULL) return -1;
    long value = PyLong_AsLong(number);
    Py_DECREF(number);
    if (value == -1 && PyErr_Occurred()) return -1;
    PyObject *packed = PyObject_GetAttrString(destination, "packed");
    if (packed == NULL) return -1;
    char *bytes;
    Py_ssize_t length;
    if (PyBytes_AsStringAndSize(packed, &bytes, &length) < 0) {
        Py_DECREF(packed);
        return -1;
    }
    if (length < (Py_ssize_t)sizeof(sa_family_t) || length > (Py_ssize_t)sizeof *address) {
        Py_DECREF(packed);
        PyErr_SetString(PyExc_ValueError, "packed is not a socket address");
        return -1;
    }
    memset(address, 0, sizeof *address);
    memcpy(address, bytes, (size_t)length);
    *size = (socklen_t)length;
    *fd = (int)value;
    Py_DECREF(packed);
    return 0;
}

static PyObject *stream_open(Stream *self, PyObject *args) {
    PyObject *protector, *destination;
    unsigned char payload_type;
    if (!PyArg_ParseTuple(args, "OOb", &protector, &destination, &payload_type)) return NULL;
    PyObject *number = PyObject_GetAttrString(protector, "handle");
    if (number == NULL) return NULL;
    void *session = PyLong_AsVoidPtr(number);
    Py_DECREF(number);
    if (session == NULL) {
        if (!PyErr_Occurred()) PyErr_SetString(PyExc_ValueError, "the protector has no session");
        return NULL;
    }
    int fd;
    struct sockaddr_storage address;
    socklen_t size;
    if (read_destination(destination, &fd, &address, &size) < 0) return NULL;
    Py_INCREF(protector);
    lock_with_gil(&state);
    PyObject *old = self->protector;
    self->protector = protector;
    self->session = session;
    self->fd = fd;
    self->address = address;
    self->address_size = size;
    self->payload_type = payload_type & 0x7F;
    pthread_mutex_unlock(&state);
    Py_XDECREF(old);
    Py_RETURN_NONE;
}

static PyObject *stream_redirect(Stream *self, PyObject *destination) {
    int fd;
    struct sockaddr_storage address;
    socklen_t size;
    if (read_destination(destination, &fd, &address, &size) < 0) return NULL;
    lock_with_gil(&state);
    self->fd = fd;
    self->address = address;
    self->address_size = size;
    pthread_mutex_unlock(&state);
    Py_RETURN_NONE;
}

static PyObject *stream_begin(Stream *self, PyObject *talk) {
    unsigned long long number = PyLong_AsUnsignedLongLong(talk);
    if (number == (unsigned long long)-1 && PyErr_Occurred()) return NULL;
    lock_with_gil(&state);
    self->talk = number;
    self->is_first = true;
    self->tail_left = 0;
    pthread_mutex_unlock(&state);
    Py_RETURN_NONE;
}

static PyObject *stream_end(Stream *self, PyObject *tail) {
    long count = PyLong_AsLong(tail);
    if (count == -1 && PyErr_Occurred()) return NULL;
    if (count < 0 || count > 1000) {
        PyErr_SetString(PyExc_ValueError, "a tail has 0 to 1000 packets");
        return NULL;
    }
    lock_with_gil(&state);
    self->tail_left = self->is_first ? 0 : (int)count;
    self->is_first = false;
    pthread_mutex_unlock(&state);
    Py_RETURN_NONE;
}

static PyObject *stream_close(Stream *self, PyObject *unused) {
    (void)unused;
    lock_with_gil(&state);
    PyObject *old = self->protector;
    self->protector = NULL;
    self->session = NULL;
    self->tail_left = 0;
    pthread_mutex_unlock(&state);
    Py_XDECREF(old);
    Py_RETURN_NONE;
}

static PyMethodDef stream_methods[] = {
    {"open", (PyCFunction)stream_open, METH_VARARGS, NULL},
    {"redirect", (PyCFunction)stream_redirect, METH_O, NULL},
    {"begin", (PyCFunction)stream_begin, METH_O, NULL},
    {"end", (PyCFunction)stream_end, METH_O, NULL},
    {"close", (PyCFunction)stream_close, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef stream_members[] = {
    {"ssrc", T_UINT, offsetof(Stream, ssrc), READONLY, NULL},
    {"timestamp", T_UINT, offsetof(Stream, timestamp), READONLY, NULL},
    {"sequence", T_USHORT, offsetof(Stream, sequence), READONLY, NULL},
    {"sent_at", T_UINT, offsetof(Stream, sent_at), READONLY, NULL},
    {"tail_left", T_INT, offsetof(Stream, tail_left), READONLY, NULL},
    {"packets", T_ULONGLONG, offsetof(Stream, packets), READONLY, NULL},
    {"octets", T_ULONGLONG, offsetof(Stream, octets), READONLY, NULL},
    {"failed", T_ULONGLONG, offsetof(Stream, failed), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot stream_slots[] = {
    {Py_tp_init, stream_init},       {Py_tp_dealloc, stream_dealloc}, {Py_tp_methods, stream_methods},
    {Py_tp_members, stream_members}, {0, NULL},
};

static PyType_Spec stream_spec = {
    "tongpin.gateway.media._fanout.Stream", sizeof(Stream), 0, Py_TPFLAGS_DEFAULT, stream_slots};

/* ---- sending, without the GIL -------------------------------------------------------------------------------- */

static void write_packet(const Job *job, Stream *stream, uint8_t *packet) {
    unsigned char marker = 0;
    uint16_t sequence;
    uint32_t timestamp;
    if (job->is_tail) {
        stream->tail_left--;
        sequence = stream->sequence = (unsigned short)(stream->sequence + 1);
        timestamp = stream->timestamp += FRAME_SAMPLES;
    } else {
        if (stream->is_first) {
            uint32_t elapsed = FRAME_SAMPLES, passed = job->now - stream->sent_at;
            if (stream->has_sent && passed > elapsed) elapsed = passed;
            stream->sequence_shift = (unsigned short)(stream->sequence + 1 - job->sequence);
            stream->timestamp_shift = stream->timestamp + elapsed - job->timestamp;
            stream->is_first = false;
            marker = 0x80;
        }
        sequence = (uint16_t)(job->sequence + stream->sequence_shift);
        timestamp = job->timestamp + stream->timestamp_shift;
        if ((uint16_t)(sequence - stream->sequence) < 0x8000) {
            stream->sequence = sequence;
            stream->timestamp = timestamp;
        }
    }
    uint32_t ssrc = stream->ssrc;
    uint8_t header[HEADER] = {
        0x80, (uint8_t)(marker | stream->payload_type), (uint8_t)(sequence >> 8), (uint8_t)sequence,
        (uint8_t)(timestamp >> 24), (uint8_t)(timestamp >> 16), (uint8_t)(timestamp >> 8), (uint8_t)timestamp,
        (uint8_t)(ssrc >> 24), (uint8_t)(ssrc >> 16), (uint8_t)(ssrc >> 8), (uint8_t)ssrc,
    };
    memcpy(packet, header, HEADER);
    memcpy(packet + HEADER, job->payload, (size_t)job->length);
}

static void count_failure(Stream *stream, int length) {
    pthread_mutex_lock(&state);
    stream->failed++;
    stream->packets--;
    stream->octets -= (unsigned long long)length;
    pthread_mutex_unlock(&state);
}

/* A destination that cannot be sent to costs its own packet only; a full socket buffer costs a bounded wait. */
static void flush(int fd, struct mmsghdr *messages, Stream **owners, int count, int length, long *wait_left) {
    int sent = 0;
    while (sent < count) {
        int step = sendmmsg(fd, messages + sent, (unsigned int)(count - sent), MSG_DONTWAIT | MSG_NOSIGNAL);
        if (step > 0) {
            sent += step;
        } else if (errno == EINTR) {
            continue;
        } else if ((errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS) && *wait_left > 0) {
            struct timespec pause = {0, 250000};
            nanosleep(&pause, NULL);
            *wait_left -= pause.tv_nsec;
        } else {
            count_failure(owners[sent++], length);
        }
    }
}

static void run_job(const Sender *self, const Job *job) {
    struct mmsghdr messages[BATCH];
    struct iovec vectors[BATCH];
    struct sockaddr_storage addresses[BATCH];
    Stream *owners[BATCH];
    size_t room = ((size_t)(HEADER + job->length + TRAILER) + 63) & ~(size_t)63;
    long wait_left = WAIT_NS;
    Py_ssize_t at = 0;
    while (at < job->count) {
        int count = 0, fd = -1;
        pthread_mutex_lock(&state);
        for (; at < job->count && count < BATCH; at++) {
            Stream *stream = job->items[at];
            /* A frame that waited while the stream went on to the next talk is not for it any more. */
            if (job->is_tail ? stream->tail_left <= 0 : stream->talk != job->talk) continue;
            if (stream->session == NULL) {
                stream->failed++;
                continue;
            }
            if (count > 0 && stream->fd != fd) break;
            fd = stream->fd;
            uint8_t *packet = self->buffers + (size_t)count * room;
            int length = HEADER + job->length;
            write_packet(job, stream, packet);
            if (self->protect(stream->session, packet, &length) != 0) {
                stream->failed++;
                continue;
            }
            stream->packets++;
            stream->octets += (unsigned long long)job->length;
            stream->has_sent = true;
            stream->sent_at = job->now;
            addresses[count] = stream->address;
            vectors[count] = (struct iovec){packet, (size_t)length};
            memset(&messages[count], 0, sizeof messages[count]);
            messages[count].msg_hdr.msg_name = &addresses[count];
            messages[count].msg_hdr.msg_namelen = stream->address_size;
            messages[count].msg_hdr.msg_iov = &vectors[count];
            messages[count].msg_hdr.msg_iovlen = 1;
            owners[count++] = stream;
        }
        pthread_mutex_unlock(&state);
        if (count > 0) flush(fd, messages, owners, count, job->length, &wait_left);
    }
}

static void *thread_main(void *argument) {
    Sender *self = argument;
    /* Sound before everything else, where this user may say so; without the right it goes as it goes. */
    (void)setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), NICE);
    pthread_mutex_lock(&self->ring_lock);
    while (true) {
        while (self->done == self->head && !self->is_closing) pthread_cond_wait(&self->moved, &self->ring_lock);
        if (self->done == self->head) break;
        const Job *job = self->ring[self->done % RING];
        pthread_mutex_unlock(&self->ring_lock);
        run_job(self, job);
        pthread_mutex_lock(&self->ring_lock);
        self->done++;
    }
    pthread_mutex_unlock(&self->ring_lock);
    return NULL;
}

/* ---- Sender -------------------------------------------------------------------------------------------------- */

static int sender_init(Sender *self, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"protect", "threaded_from", NULL};
    PyObject *protect;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "On", names, &protect, &self->threaded_from)) return -1;
    if (self->buffers != NULL) {
        PyErr_SetString(PyExc_RuntimeError, "a Sender is made once");
        return -1;
    }
    void *address = PyLong_AsVoidPtr(protect);
    if (address == NULL) {
        if (!PyErr_Occurred()) PyErr_SetString(PyExc_ValueError, "protect is the address of srtp_protect");
        return -1;
    }
    memcpy(&self->protect, &address, sizeof address);
    self->buffers = PyMem_Malloc((size_t)BATCH * ((HEADER + MAX_PAYLOAD + TRAILER + 63) & ~63));
    if (self->buffers == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    pthread_mutex_init(&self->ring_lock, NULL);
    pthread_cond_init(&self->moved, NULL);
    return 0;
}

static void free_job(Job *job) {
    Py_DECREF(job->streams);
    PyMem_Free(job->items);
    PyMem_Free(job);
}

/* GIL held. Frees what the thread has finished; returns how many jobs still wait. */
static unsigned int reap(Sender *self) {
    while (true) {
        Job *job = NULL;
        pthread_mutex_lock(&self->ring_lock);
        unsigned int waiting = self->head - self->done;
        if (self->tail != self->done) job = self->ring[self->tail++ % RING];
        pthread_mutex_unlock(&self->ring_lock);
        if (job == NULL) return waiting;
        free_job(job);
    }
}

static PyObject *push(Sender *self, Job *job) {
    unsigned int waiting = reap(self);
    if (self->threaded_from == 0 || (waiting == 0 && job->count < self->threaded_from)) {
        self->frames++;
        /* Nothing waits, so the thread is idle and the buffers are ours. */
        Py_BEGIN_ALLOW_THREADS
        run_job(self, job);
        Py_END_ALLOW_THREADS
        free_job(job);
        Py_RETURN_NONE;
    }
    if (waiting >= RING) {
        self->dropped++;
        free_job(job);
        Py_RETURN_NONE;
    }
    if (!self->has_thread) {
        if (pthread_create(&self->thread, NULL, thread_main, self) != 0) {
            free_job(job);
            PyErr_SetString(PyExc_OSError, "the sending thread cannot be started");
            return NULL;
        }
        self->has_thread = true;
    }
    self->frames++;
    pthread_mutex_lock(&self->ring_lock);
    self->ring[self->head++ % RING] = job;
    pthread_cond_signal(&self->moved);
    pthread_mutex_unlock(&self->ring_lock);
    Py_RETURN_NONE;
}

static Job *make_job(Sender *self, PyObject *streams, const char *payload, Py_ssize_t length) {
    if (self->buffers == NULL || self->is_closing) {
        PyErr_SetString(PyExc_RuntimeError, "the sender is closed");
        return NULL;
    }
    if (length < 1 || length > MAX_PAYLOAD) {
        PyErr_Format(PyExc_ValueError, "a payload has 1 to %d bytes", MAX_PAYLOAD);
        return NULL;
    }
    Py_ssize_t count = PyTuple_Size(streams);
    if (count < 0) return NULL;
    Job *job = PyMem_Calloc(1, sizeof *job);
    Stream **items = PyMem_Malloc((size_t)(count > 0 ? count : 1) * sizeof *items);
    if (job == NULL || items == NULL) {
        PyMem_Free(job);
        PyMem_Free(items);
        PyErr_NoMemory();
        return NULL;
    }
    for (Py_ssize_t at = 0; at < count; at++) {
        PyObject *item = PyTuple_GetItem(streams, at);
        if (Py_TYPE(item) != stream_type) {
            PyMem_Free(job);
            PyMem_Free(items);
            PyErr_SetString(PyExc_TypeError, "streams is a tuple of Stream");
            return NULL;
        }
        items[at] = (Stream *)item;
    }
    Py_INCREF(streams);
    job->streams = streams;
    job->items = items;
    job->count = count;
    job->length = (int)length;
    memcpy(job->payload, payload, (size_t)length);
    return job;
}

static PyObject *sender_send(Sender *self, PyObject *args) {
    PyObject *streams;
    const char *payload;
    Py_ssize_t length;
    unsigned int sequence, timestamp, now;
    unsigned long long talk;
    if (!PyArg_ParseTuple(
            args, "O!Ky#III", &PyTuple_Type, &streams, &talk, &payload, &length, &sequence, &timestamp, &now))
        return NULL;
    Job *job = make_job(self, streams, payload, length);
    if (job == NULL) return NULL;
    job->talk = talk;
    job->sequence = (uint16_t)sequence;
    job->timestamp = timestamp;
    job->now = now;
    return push(self, job);
}

static PyObject *sender_send_tails(Sender *self, PyObject *args) {
    PyObject *streams;
    const char *payload;
    Py_ssize_t length;
    unsigned int now;
    if (!PyArg_ParseTuple(args, "O!y#I", &PyTuple_Type, &streams, &payload, &length, &now)) return NULL;
    Job *job = make_job(self, streams, payload, length);
    if (job == NULL) return NULL;
    job->now = now;
    job->is_tail = true;
    return push(self, job);
}

static PyObject *sender_reap(Sender *self, PyObject *unused) {
    (void)unused;
    return PyLong_FromUnsignedLong(reap(self));
}

static void stop_thread(Sender *self) {
    if (self->has_thread) {
        pthread_mutex_lock(&self->ring_lock);
        self->is_closing = true;
        pthread_cond_signal(&self->moved);
        pthread_mutex_unlock(&self->ring_lock);
        Py_BEGIN_ALLOW_THREADS
        pthread_join(self->thread, NULL);
        Py_END_ALLOW_THREADS
        self->has_thread = false;
        reap(self);
    }
    self->is_closing = true;
}

static PyObject *sender_close(Sender *self, PyObject *unused) {
    (void)unused;
    stop_thread(self);
    Py_RETURN_NONE;
}

static void sender_dealloc(Sender *self) {
    PyTypeObject *type = Py_TYPE((PyObject *)self);
    if (self->buffers != NULL) {
        stop_thread(self);
        pthread_cond_destroy(&self->moved);
        pthread_mutex_destroy(&self->ring_lock);
        PyMem_Free(self->buffers);
    }
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
    Py_DECREF(type);
}

static PyMethodDef sender_methods[] = {
    {"send", (PyCFunction)sender_send, METH_VARARGS, NULL},
    {"send_tails", (PyCFunction)sender_send_tails, METH_VARARGS, NULL},
    {"reap", (PyCFunction)sender_reap, METH_NOARGS, NULL},
    {"close", (PyCFunction)sender_close, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef sender_members[] = {
    {"frames", T_ULONGLONG, offsetof(Sender, frames), READONLY, NULL},
    {"dropped", T_ULONGLONG, offsetof(Sender, dropped), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot sender_slots[] = {
    {Py_tp_init, sender_init},       {Py_tp_dealloc, sender_dealloc}, {Py_tp_methods, sender_methods},
    {Py_tp_members, sender_members}, {0, NULL},
};

static PyType_Spec sender_spec = {
    "tongpin.gateway.media._fanout.Sender", sizeof(Sender), 0, Py_TPFLAGS_DEFAULT, sender_slots};

/* ---- module -------------------------------------------------------------------------------------------------- */

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, "_fanout", "Native fan-out; see fanout.py.", -1, NULL, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__fanout(void) {
    PyObject *made = PyModule_Create(&module);
    if (made == NULL) return NULL;
    stream_type = (PyTypeObject *)PyType_FromSpec(&stream_spec);
    PyObject *sender_type = PyType_FromSpec(&sender_spec);
    if (stream_type == NULL || sender_type == NULL || PyModule_AddObjectRef(made, "Stream", (PyObject *)stream_type) < 0 ||
        PyModule_AddObjectRef(made, "Sender", sender_type) < 0) {
        Py_XDECREF(sender_type);
        Py_DECREF(made);
        return NULL;
    }
    Py_DECREF(sender_type);
    return made;
}
