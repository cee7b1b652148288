/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "command.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "escape.h"

enum { TEXT_BYTES = 4096, OVERRIDE_COUNT = 3 };

static const char *const overrides[OVERRIDE_COUNT] = {"Q8K_BACKEND", "Q8K_BACKEND_DIR", "Q8K_VERBOSE"};
static const char *const states[] = {
    [Q8K_BACKEND_SELECTED] = "selected",
    [Q8K_BACKEND_AVAILABLE] = "available",
    [Q8K_BACKEND_REJECTED] = "rejected",
};

/* Everything is gathered as the JSON object; the report for people is printed from it, so that they cannot differ. */

/* A string that is text for sure; null for NULL and "". */
static json_t *text_or_null(const char *text) {
    char shown[TEXT_BYTES];
    return text == NULL || *text == '\0' ? json_null() : json_string(escape_path(shown, sizeof shown, text));
}

/* The value of the first line "NAME : VALUE" of /proc/cpuinfo; null if there is none. */
static json_t *cpuinfo(const char *name) {
    char *line = NULL;
    size_t room = 0, length = strlen(name);
    json_t *value = NULL;
    FILE *file = fopen("/proc/cpuinfo", "re");
    while (file != NULL && value == NULL && getline(&line, &room, file) > 0) {
        const char *colon = strchr(line, ':');
        if (colon != NULL && strncmp(line, name, length) == 0 &&
            strspn(line + length, " \t") == (size_t)(colon - line) - length) {
            line[strcspn(line, "\n")] = '\0';
            value = text_or_null(colon + 1 + strspn(colon + 1, " \t"));
        }
    }
    free(line);
    if (file != NULL) {
        fclose(file);
    }
    return value != NULL ? value : json_null();
}

/* x86 and others name the CPU; Arm gives the numbers of who made it and of which kind it is. */
static json_t *cpuinfo_either(const char *name, const char *other) {
    json_t *value = cpuinfo(name);
    if (!json_is_null(value)) {
        return value;
    }
    json_decref(value);
    return cpuinfo(other);
}

static json_t *describe_cpu(void) {
    json_t *features = json_array();
    int32_t seen, usable;
    const char *name;
    for (size_t i = 0; (name = q8k_cpu_feature(i, &seen, &usable)) != NULL; i++) {
        json_array_append_new(features, json_pack("{s:s, s:b, s:b}", "name", name, "seen", seen, "usable", usable));
    }
    return json_pack("{s:o, s:o, s:o}", "vendor", cpuinfo_either("vendor_id", "CPU implementer"), "model",
                     cpuinfo_either("model name", "CPU part"), "features", features);
}

/* Words separated by spaces. */
static json_t *split_words(const char *words) {
    json_t *array = json_array();
    for (words += strspn(words, " "); *words != '\0'; words += strspn(words, " ")) {
        size_t length = strcspn(words, " ");
        json_array_append_new(array, json_stringn(words, length));
        words += length;
    }
    return array;
}

static json_t *describe_backends(const q8k_backend_list *list) {
    json_t *backends = json_array();
    for (size_t i = 0; i < q8k_backend_list_count(list); i++) {
        q8k_backend_info info = {.size = sizeof info};
        q8k_backend_list_get(list, i, &info);
        json_array_append_new(backends, json_pack("{s:o, s:s, s:o, s:o, s:o}", "name", text_or_null(info.name), "state",
                                                  states[info.state], "reason", text_or_null(info.reason), "file",
                                                  text_or_null(info.file), "needs", split_words(info.needs)));
    }
    return backends;
}

static json_t *describe_directory(const q8k_backend_list *list) {
    const char *problem, *path = q8k_backend_list_directory(list, &problem);
    return json_pack("{s:o, s:o, s:o}", "path", text_or_null(path), "source",
                     text_or_null(q8k_backend_list_directory_source(list)), "problem", text_or_null(problem));
}

/* An override that is set to nothing is in force, and "" here. */
static json_t *describe_overrides(void) {
    json_t *set = json_object();
    for (int i = 0; i < OVERRIDE_COUNT; i++) {
        char shown[TEXT_BYTES];
        const char *value = getenv(overrides[i]);
        json_object_set_new(set, overrides[i],
                            value == NULL ? json_null() : json_string(escape_path(shown, sizeof shown, value)));
    }
    return set;
}

/* NULL if there is no memory: json_pack() passes that on. */
static json_t *describe(void) {
    q8k_backend_list *list;
    q8k_context *context = NULL;
    q8k_status failed = q8k_context_create(&context, NULL);
    json_t *error = failed ? text_or_null(q8k_last_error()) : json_null();
    json_t *selected = failed ? json_null() : text_or_null(q8k_context_backend(context));
    q8k_context_destroy(context);
    if (q8k_backend_list_create(&list, NULL) != Q8K_OK) {
        json_decref(error);
        json_decref(selected);
        return NULL;
    }
    json_t *report = json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:o}", "version", q8k_version(), "backend", selected,
                               "error", error, "cpu", describe_cpu(), "plugin_directory", describe_directory(list),
                               "backends", describe_backends(list), "overrides", describe_overrides());
    q8k_backend_list_destroy(list);
    return report;
}

static const char *string_at(const json_t *object, const char *key, const char *otherwise) {
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : otherwise;
}

static void print_features(const json_t *features, bool usable) {
    size_t i;
    json_t *feature;
    int printed = 0;
    json_array_foreach(features, i, feature) {
        if (json_is_true(json_object_get(feature, "seen")) &&
            json_is_true(json_object_get(feature, "usable")) == usable) {
            printf("%s%s", printed++ > 0 ? " " : "", string_at(feature, "name", "?"));
        }
    }
    printf("%s\n", printed > 0 ? "" : "none");
}

static void print_cpu(const json_t *cpu) {
    const json_t *features = json_object_get(cpu, "features");
    printf("cpu         %s, %s\n", string_at(cpu, "vendor", "unknown vendor"),
           string_at(cpu, "model", "unknown model"));
    printf("features    ");
    print_features(features, true);
    printf("not enabled ");
    print_features(features, false);
}

static void print_backend(const json_t *backend) {
    const json_t *needs = json_object_get(backend, "needs");
    size_t i;
    json_t *need;
    printf("\n%-10s  %s", string_at(backend, "name", "?"), string_at(backend, "state", "?"));
    if (json_is_string(json_object_get(backend, "reason"))) {
        printf(": %s", string_at(backend, "reason", ""));
    }
    printf("\n            file: %s\n            needs: ", string_at(backend, "file", "none"));
    json_array_foreach(needs, i, need) {
        printf("%s%s", i > 0 ? " " : "", json_string_value(need));
    }
    printf("%s\n", json_array_size(needs) == 0 ? "nothing special" : "");
}

static void print_report(const json_t *report) {
    const json_t *folder = json_object_get(report, "plugin_directory");
    size_t i;
    json_t *backend;
    printf("libq8k %s\n", string_at(report, "version", "?"));
    print_cpu(json_object_get(report, "cpu"));
    printf("plugins     %s (%s)\n", string_at(folder, "path", "none"), string_at(folder, "source", "?"));
    if (json_is_string(json_object_get(folder, "problem"))) {
        printf("            refused: %s\n", string_at(folder, "problem", ""));
    }
    for (int k = 0; k < OVERRIDE_COUNT; k++) {
        const json_t *value = json_object_get(json_object_get(report, "overrides"), overrides[k]);
        printf("%s%s%s%s", k == 0 ? "overrides   " : ", ", overrides[k], json_is_null(value) ? " not set" : "=",
               json_is_null(value) ? "" : json_string_value(value));
    }
    printf("\n");
    json_array_foreach(json_object_get(report, "backends"), i, backend) {
        print_backend(backend);
    }
}

static int run(const command_arguments *arguments) {
    json_t *report = describe();
    if (report == NULL) {
        return command_fail("no memory for the report");
    }
    if (arguments->json) {
        json_dumpf(report, stdout, JSON_INDENT(2));
        putchar('\n');
    } else {
        print_report(report);
    }
    const char *error = string_at(report, "error", NULL);
    int status = error == NULL ? EXIT_SUCCESS : command_fail("%s", error);
    json_decref(report);
    return status;
}

const command command_info = {
    .name = "info",
    .files = "",
    .summary = "Tell what this machine has and which backend is used",
    .help = "Exit status 1 if no backend can be used, as when Q8K_BACKEND names one that this machine cannot run.\n\n"
            "The JSON object has these keys, which stay; what does not apply is null:\n"
            "  version           of the library\n"
            "  backend           the name of the selected one\n"
            "  error             why none could be selected\n"
            "  cpu               vendor, model, features: an array of name, seen (by the CPU), usable (enabled by\n"
            "                    the operating system too)\n"
            "  plugin_directory  path, source (\"built in\" or \"Q8K_BACKEND_DIR\"), problem (why it is refused)\n"
            "  backends          an array, best first, of name, state (\"selected\", \"available\", \"rejected\"),\n"
            "                    reason, file, needs (names of CPU features)\n"
            "  overrides         Q8K_BACKEND, Q8K_BACKEND_DIR, Q8K_VERBOSE as they are set\n",
    .options = OPTION_JSON,
    .run = run,
};
