/* SPDX-License-Identifier: MIT */
#include "escape.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { ESCAPED_BYTES = 4 };

/* Bytes of the well-formed UTF-8 sequence at `text`; 0 if there is none. */
static size_t utf8_length(const uint8_t *text, size_t length) {
    static const uint32_t smallest[5] = {0, 0, 0x80, 0x800, 0x10000};
    uint8_t lead = text[0];
    size_t bytes = lead < 0x80             ? 1
                   : (lead & 0xe0) == 0xc0 ? 2
                   : (lead & 0xf0) == 0xe0 ? 3
                   : (lead & 0xf8) == 0xf0 ? 4
                                           : 0;
    if (bytes == 0 || bytes > length) {
        return 0;
    }
    uint32_t code = bytes == 1 ? lead : lead & (0x7fu >> bytes);
    for (size_t i = 1; i < bytes; i++) {
        if ((text[i] & 0xc0) != 0x80) {
            return 0;
        }
        code = code << 6 | (text[i] & 0x3f);
    }
    bool surrogate = code >= 0xd800 && code <= 0xdfff;
    return code < smallest[bytes] || code > 0x10ffff || surrogate ? 0 : bytes;
}

/* Bytes of text at `text` that can be shown as they are; 0 if its first byte must be escaped. */
static size_t printable_length(const uint8_t *text, size_t length) {
    size_t bytes = utf8_length(text, length);
    bool control = text[0] < 0x20 || text[0] == 0x7f || (bytes == 2 && text[0] == 0xc2 && text[1] < 0xa0);
    return control ? 0 : bytes;
}

char *escape_text(char *out, size_t out_bytes, const void *text, size_t length) {
    const uint8_t *from = text;
    size_t used = 0;
    for (size_t i = 0; i < length;) {
        size_t bytes = printable_length(from + i, length - i);
        size_t needed = bytes > 0 ? bytes : ESCAPED_BYTES;
        if (used + needed >= out_bytes) {
            break;
        }
        if (bytes > 0) {
            memcpy(out + used, from + i, bytes);
        } else {
            snprintf(out + used, ESCAPED_BYTES + 1, "\\x%02x", from[i]);
        }
        used += needed;
        i += bytes > 0 ? bytes : 1;
    }
    out[used] = '\0';
    return out;
}

char *escape_path(char *out, size_t out_bytes, const char *path) {
    size_t length = strlen(path);
    if (length < out_bytes / ESCAPED_BYTES) {
        return escape_text(out, out_bytes, path, length);
    }
    size_t kept = out_bytes / ESCAPED_BYTES - 1;
    memcpy(out, "...", 3);
    escape_text(out + 3, out_bytes - 3, path + length - kept, kept);
    return out;
}
