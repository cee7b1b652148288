/* SPDX-License-Identifier: MIT */
/* A file of weights to another one, tensor by tensor, each in another type or as it is: what the subcommands quantize and
 * dequantize do. */
#ifndef Q8K_TOOLS_CONVERT_H
#define Q8K_TOOLS_CONVERT_H

#include "command.h"
#include "npy_write.h"
#include "progress.h"
#include "weights.h"

enum { CONVERT_REASON_BYTES = 64 };

/* The work of one command. */
typedef struct conversion {
    const command_arguments *arguments;
    q8k_format format; /* of libq8k; 0 for float32 */
    int threads;
    weights_file in;
    bool to_npy;
    progress progress;
    size_t converted, copied;
    int name_width, shape_width; /* of what is said */
} conversion;

/* What becomes of a tensor. */
typedef struct conversion_step {
    gguf_tensor from, to;
    bool selected;                     /* by --tensor and --keep */
    bool converts;                     /* else it is copied */
    char reason[CONVERT_REASON_BYTES]; /* why it is copied */
} conversion_step;

/* The whole command: from arguments->files[0] to files[1]. Returns an exit status. */
int convert_run(const command_arguments *arguments, q8k_format format);

/* What becomes of the tensor at an index. */
conversion_step convert_plan(const conversion *c, size_t index);

/* Adds the metadata of a GGUF file that is made from another one, before its tensors. What other software reads there
 * of the types of tensors, "general.file_type" and "general.quantization_version", is made true. */
void convert_metadata(const conversion *c, gguf_writer *writer);

/* Where data goes. */
typedef struct conversion_output {
    bool is_npy;
    gguf_writer gguf;
    npy_writer npy;
} conversion_output;

/* Writes the data of one tensor. False, with a message said, on failure. */
bool convert_data(conversion *c, const conversion_step *step, conversion_output *out);

/* The next bytes of a file, from one thread. */
bool convert_put(conversion_output *out, const void *bytes, size_t count, char error[WEIGHTS_ERROR_BYTES]);

#endif
