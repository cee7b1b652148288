/* SPDX-License-Identifier: MIT */
#include "lib/error.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

const char *q8k_version(void) {
#define VERSION_TEXT(number) #number
#define VERSION_JOIN(major, minor, patch) VERSION_TEXT(major) "." VERSION_TEXT(minor) "." VERSION_TEXT(patch)
    return VERSION_JOIN(Q8K_VERSION_MAJOR, Q8K_VERSION_MINOR, Q8K_VERSION_PATCH);
}

uint32_t q8k_version_number(void) {
    return Q8K_VERSION_NUMBER;
}

const char *q8k_status_name(q8k_status status) {
#define STATUS_NAME(name) [name] = #name
    static const char *const names[] = {
        STATUS_NAME(Q8K_OK),
        STATUS_NAME(Q8K_ERROR_NULL),
        STATUS_NAME(Q8K_ERROR_STRUCT),
        STATUS_NAME(Q8K_ERROR_FORMAT),
        STATUS_NAME(Q8K_ERROR_PRECISION),
        STATUS_NAME(Q8K_ERROR_COLUMNS),
        STATUS_NAME(Q8K_ERROR_BYTES),
        STATUS_NAME(Q8K_ERROR_OVERFLOW),
        STATUS_NAME(Q8K_ERROR_STRIDE),
        STATUS_NAME(Q8K_ERROR_OVERLAP),
        STATUS_NAME(Q8K_ERROR_PART),
        STATUS_NAME(Q8K_ERROR_PREPARED),
        STATUS_NAME(Q8K_ERROR_NOT_FINITE),
        STATUS_NAME(Q8K_ERROR_RANGE),
        STATUS_NAME(Q8K_ERROR_MEMORY),
        STATUS_NAME(Q8K_ERROR_BACKEND),
        STATUS_NAME(Q8K_ERROR_ENVIRONMENT),
        STATUS_NAME(Q8K_ERROR_INDEX),
        STATUS_NAME(Q8K_ERROR_NAME),
    };
    if (status < 0 || (size_t)status >= sizeof names / sizeof *names)
        return "unknown status";
    return names[status];
}

/*
 * The text lives behind a pthread key and not in thread-local storage: a library that is opened with dlopen gets its
 * thread-local storage either from a small surplus, whose end makes dlopen fail, or on first access, where the C
 * library aborts the process if there is no memory. With a key, no memory means no text.
 */
static char no_memory[] = "there is no memory for the text of this failure";

static void free_text(void *text) {
    if (text != no_memory)
        free(text);
}

/* The key plus 1; 0 until some thread has failed. */
static _Atomic unsigned text_key;

static int find_key(int make, pthread_key_t *key) {
    unsigned known = atomic_load_explicit(&text_key, memory_order_acquire);
    if (known == 0 && make) {
        pthread_key_t mine;
        if (pthread_key_create(&mine, free_text) != 0)
            return 0;
        if (atomic_compare_exchange_strong(&text_key, &known, (unsigned)mine + 1))
            known = (unsigned)mine + 1;
        else
            pthread_key_delete(mine);
    }
    *key = (pthread_key_t)(known - 1);
    return known != 0;
}

static q8k_text *thread_text(void) {
    pthread_key_t key;
    if (!find_key(1, &key))
        return NULL;
    void *text = pthread_getspecific(key);
    if (text != NULL && text != no_memory)
        return text;
    text = malloc(sizeof(q8k_text));
    if (pthread_setspecific(key, text != NULL ? text : no_memory) != 0) {
        free(text);
        return NULL;
    }
    return text;
}

q8k_status q8k_fail(q8k_status status, const char *format, ...) {
    q8k_text *text = thread_text();
    if (text != NULL) {
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(text->text, sizeof text->text, format, arguments);
        va_end(arguments);
    }
    return status;
}

int q8k_say(q8k_text *why, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(why->text, sizeof why->text, format, arguments);
    va_end(arguments);
    return 0;
}

const char *q8k_last_error(void) {
    pthread_key_t key;
    const char *text = find_key(0, &key) ? pthread_getspecific(key) : NULL;
    return text != NULL ? text : "";
}
