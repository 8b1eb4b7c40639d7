/* What Torch does slowly at the size of a digit: convolution of one channel with bias, ReLU and
 * 2x2 max pooling, also with the dense layer behind it, batch normalization with the same, forward
 * and backward, and dropout.
 *
 * Promises: reads and writes only the arrays named, of the sizes stated; allocates nothing; gives
 * the same bits whatever the number of threads. Each function's plain twin is in reference.py.
 *
 * Plain C with the vector extensions of GCC and Clang. Compiled once per instruction set (see
 * setup.py); kernels.py loads the best one that the processor has.
 *
 * Layouts, all float32 and contiguous unless said otherwise:
 *   images   (n, height, width)                  one channel
 *   weights  (size, size, filters)               Keras's kernel, its axis of one channel left out
 *   bias     (filters)
 *   maps     (n, rows, columns, filters)         rows = height - size + 1, columns likewise
 *   pooled   (n, rows / 2, columns / 2, filters) rounded down
 *   winners  as pooled, uint8: which of the four was the maximum, row by row; 4: none was above 0
 *   partial  (ceil(n / CHUNK), size * size + 1, filters): gradients of weights and, in the last
 *            row, bias, summed over CHUNK images; the caller adds the chunks up
 *
 * Flattened maps, or pooled maps, times a dense layer's kernel:
 *   flat     (height, width)                     an image of the background alone
 *   active   (n, rows, columns), uint8           1 where an image's window is not flat
 *   dense    (rows, columns, filters, units)     Keras's kernel; filters and units multiples of 16
 *   outputs  (n, units)
 */
#include <math.h>
#include <stdint.h>
#include <string.h>
#if defined(__SSE2__)
#include <immintrin.h>
#endif

#if defined(__AVX512F__)
#define LANES 16  /* filters at a time: as many as a register holds */
#define WINDOWS 8 /* whose sums, of two vectors each, stay in registers */
#elif defined(__AVX2__)
#define LANES 8
#define WINDOWS 4
#else
#define LANES 4
#define WINDOWS 4
#endif
#define CHUNK 8 /* images whose gradients are summed by one thread */
#define MAX_SIZE 7
#define NO_WINNER 4
#define PARTS 16     /* of the positions; their sums are kept apart, for the caller to add up */
#define TILE 64      /* rows of flattened maps at a time */
#define BAND 64      /* rows of a product with many zeros at a time */
#define DEPTH 64     /* values of each of them at a time, at most 256 */
#define ROWS 4       /* of a block of a matrix product, whose sums stay in registers */
#define VECTORS 4    /* its columns */
#define UNITS 64     /* of the dense layer at a time, backward; WIDE: forward */
#define WIDE 128
#define MAX_FILTERS 64
#define MAX_UNITS 1024
#define COUNTERS 16 /* of the generator: a group of them makes 8 * COUNTERS values */

#define INLINE static inline __attribute__((always_inline))
#if defined(_WIN32)
#define EXPORT __declspec(dllexport)
#else
#define EXPORT __attribute__((visibility("default")))
#endif

/* Else GCC keeps a pointer for each of a row's vectors, and runs out of registers. */
#define KEEP_POINTER(pointer) __asm__("" : "+r"(pointer))

typedef float vector __attribute__((vector_size(4 * LANES)));
typedef int32_t mask __attribute__((vector_size(4 * LANES)));
typedef uint32_t words __attribute__((vector_size(4 * LANES)));
typedef uint64_t pairs __attribute__((vector_size(4 * LANES)));
typedef uint8_t bytes __attribute__((vector_size(LANES)));
typedef float four __attribute__((vector_size(16)));
#if defined(__clang__)
#define SHUFFLE(a, b, i, j, k, l) __builtin_shufflevector(a, b, i, j, k, l)
#else
typedef int32_t four_indices __attribute__((vector_size(16)));
#define SHUFFLE(a, b, i, j, k, l) __builtin_shuffle(a, b, (four_indices){i, j, k, l})
#endif

typedef struct {
    int64_t n, height, width, size, filters, pool, units; /* pool: 1 with pooling, 0 without */
} shape;

INLINE int64_t rows_of(shape s) { return (s.height - s.size + 1) >> s.pool; }

INLINE int64_t columns_of(shape s) { return (s.width - s.size + 1) >> s.pool; }

INLINE vector load(const float *from, int64_t lanes) {
    vector v = {0};
    memcpy(&v, from, lanes == LANES ? sizeof v : 4 * (size_t)lanes);
    return v;
}

INLINE void store(float *to, vector v, int64_t lanes) {
    memcpy(to, &v, lanes == LANES ? sizeof v : 4 * (size_t)lanes);
}

INLINE vector where(mask m, vector yes, vector no) {
    return (vector)(((mask)yes & m) | ((mask)no & ~m));
}

INLINE int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

/* The maximum of LANES maps at some pixels after ReLU, and which won. Not a number stays what it is,
 * in ReLU and maximum alike. */
INLINE vector highest(const vector *values, int32_t pixels, mask *which) {
    const vector zero = {0};
    vector best = values[0];
    mask winner = {0};
    for (int32_t k = 1; k < pixels; k++) {
        mask same = values[k] <= best;
        best = where(same, best, values[k]);
        winner = (winner & same) | (k & ~same);
    }
    const mask none = best <= zero;
    *which = (winner & ~none) | (NO_WINNER & none);
    return where(none, zero, best);
}

/* One value of LANES maps or pooled maps, and which of its pixels won. The pixels' sums grow side by
 * side, so that none waits for another. */
INLINE vector value_of(shape s, const float *corner, const vector *weights, vector bias,
                       mask *which) {
    const int32_t pixels = s.pool ? 4 : 1;
    vector sums[4] = {bias, bias, bias, bias};
    for (int64_t u = 0; u < s.size; u++)
        for (int64_t v = 0; v < s.size; v++)
            for (int32_t k = 0; k < pixels; k++)
                sums[k] += corner[(u + k / 2) * s.width + v + k % 2] * weights[u * s.size + v];
    return highest(sums, pixels, which);
}

INLINE void load_weights(vector *into, const float *weights, shape s, int64_t lanes) {
    for (int64_t tap = 0; tap < s.size * s.size; tap++)
        into[tap] = load(weights + tap * s.filters, lanes);
}

INLINE void maps_of(shape s, int64_t lanes, const float *image, const float *weights,
                    const float *bias, float *maps) {
    const vector b = load(bias, lanes);
    vector w[MAX_SIZE * MAX_SIZE];
    mask winner;
    load_weights(w, weights, s, lanes);
    for (int64_t i = 0; i < rows_of(s); i++)
        for (int64_t j = 0; j < columns_of(s); j++) {
            vector value = value_of(s, image + i * s.width + j, w, b, &winner);
            store(maps + (i * columns_of(s) + j) * s.filters, value, lanes);
        }
}

INLINE void pooled_of(shape s, int64_t lanes, const float *image, const float *weights,
                      const float *bias, float *pooled, uint8_t *winners) {
    const vector b = load(bias, lanes);
    vector w[MAX_SIZE * MAX_SIZE];
    mask winner;
    load_weights(w, weights, s, lanes);
    for (int64_t i = 0; i < rows_of(s); i++)
        for (int64_t j = 0; j < columns_of(s); j++) {
            const int64_t at = (i * columns_of(s) + j) * s.filters;
            store(pooled + at, value_of(s, image + 2 * (i * s.width + j), w, b, &winner), lanes);
            bytes which = __builtin_convertvector(winner, bytes);
            memcpy(winners + at, &which, (size_t)lanes);
        }
}

INLINE void add_gradients(vector *sums, int64_t size, const float *image, int64_t width,
                          vector gradient) {
    for (int64_t u = 0; u < size; u++)
        for (int64_t v = 0; v < size; v++) sums[u * size + v] += image[u * width + v] * gradient;
    sums[size * size] += gradient;
}

/* Add what the gradient of one value of LANES maps or pooled maps gives to the pixels that won. */
INLINE void add_winners(shape s, const float *corner, mask winner, vector gradient, vector *sums) {
    const vector zero = {0};
    for (int32_t k = 0; k < (s.pool ? 4 : 1); k++) {
        vector g = where(winner == k, gradient, zero);
        add_gradients(sums, s.size, corner + (k / 2) * s.width + k % 2, s.width, g);
    }
}

INLINE void maps_gradients(shape s, int64_t lanes, const float *image, const float *maps,
                           const float *gradients, vector *sums) {
    const vector zero = {0};
    for (int64_t i = 0; i < rows_of(s); i++)
        for (int64_t j = 0; j < columns_of(s); j++) {
            const int64_t at = (i * columns_of(s) + j) * s.filters;
            vector g = load(gradients + at, lanes);
            g = where(load(maps + at, lanes) <= zero, zero, g);
            add_gradients(sums, s.size, image + i * s.width + j, s.width, g);
        }
}

INLINE void pooled_gradients(shape s, int64_t lanes, const float *image, const uint8_t *winners,
                             const float *gradients, vector *sums) {
    for (int64_t i = 0; i < rows_of(s); i++)
        for (int64_t j = 0; j < columns_of(s); j++) {
            const int64_t at = (i * columns_of(s) + j) * s.filters;
            bytes which = {0};
            memcpy(&which, winners + at, (size_t)lanes);
            add_winners(s, image + 2 * (i * s.width + j), __builtin_convertvector(which, mask),
                        load(gradients + at, lanes), sums);
        }
}

/* Run `block(s, lanes, first)` for each LANES filters from `first` on. 3x3 and 5x5 kernels of a full
 * vector are compiled for themselves: their loops unroll, and their weights stay in registers. */
#define EACH_BLOCK(block)                                            \
    for (int64_t first = 0; first < s.filters; first += LANES) {                    \
        const int64_t lanes = smaller(LANES, s.filters - first);                    \
        if (s.size == 3 && lanes == LANES) {                                        \
            const shape s3 = {s.n, s.height, s.width, 3, s.filters, s.pool, 0};     \
            block(s3, LANES, first);                                                \
        } else if (s.size == 5 && lanes == LANES) {                                 \
            const shape s5 = {s.n, s.height, s.width, 5, s.filters, s.pool, 0};     \
            block(s5, LANES, first);                                                \
        } else {                                                                    \
            block(s, lanes, first);                                                 \
        }                                                                           \
    }

EXPORT void conv_relu(const float *images, const float *weights, const float *bias, float *maps,
                      int64_t n, int64_t height, int64_t width, int64_t size, int64_t filters,
                      int threads) {
    const shape s = {n, height, width, size, filters, 0, 0};
    const int64_t area = rows_of(s) * columns_of(s) * filters;
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t k = 0; k < n; k++) {
#define BLOCK(s, lanes, first)                                                               \
    maps_of(s, lanes, images + k * height * width, weights + first, bias + first,            \
            maps + k * area + first)
        EACH_BLOCK(BLOCK)
#undef BLOCK
    }
}

EXPORT void conv_relu_pool(const float *images, const float *weights, const float *bias,
                           float *pooled, uint8_t *winners, int64_t n, int64_t height,
                           int64_t width, int64_t size, int64_t filters, int threads) {
    const shape s = {n, height, width, size, filters, 1, 0};
    const int64_t area = rows_of(s) * columns_of(s) * filters;
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t k = 0; k < n; k++) {
#define BLOCK(s, lanes, first)                                                               \
    pooled_of(s, lanes, images + k * height * width, weights + first, bias + first,          \
              pooled + k * area + first, winners + k * area + first)
        EACH_BLOCK(BLOCK)
#undef BLOCK
    }
}

/* Sum up into `partial` what `add` finds in each image; `kept` is what the way forward left. */
#define SUM_BLOCK(add, kept, s, lanes, first)                                          \
    do {                                                                               \
        vector sums[MAX_SIZE * MAX_SIZE + 1] = {{0}};                                  \
        for (int64_t k = chunk * CHUNK; k < smaller(n, (chunk + 1) * CHUNK); k++)      \
            add(s, lanes, images + k * height * width, kept + k * area + first,        \
                gradients + k * area + first, sums);                                   \
        for (int64_t tap = 0; tap < taps; tap++)                                       \
            store(partial + (chunk * taps + tap) * filters + first, sums[tap], lanes); \
    } while (0)

EXPORT void conv_relu_gradients(const float *images, const float *maps, const float *gradients,
                                float *partial, int64_t n, int64_t height, int64_t width,
                                int64_t size, int64_t filters, int threads) {
    const shape s = {n, height, width, size, filters, 0, 0};
    const int64_t area = rows_of(s) * columns_of(s) * filters;
    const int64_t taps = size * size + 1, chunks = (n + CHUNK - 1) / CHUNK;
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t chunk = 0; chunk < chunks; chunk++) {
#define BLOCK(s, lanes, first) SUM_BLOCK(maps_gradients, maps, s, lanes, first)
        EACH_BLOCK(BLOCK)
#undef BLOCK
    }
}

EXPORT void conv_relu_pool_gradients(const float *images, const uint8_t *winners,
                                     const float *gradients, float *partial, int64_t n,
                                     int64_t height, int64_t width, int64_t size,
                                     int64_t filters, int threads) {
    const shape s = {n, height, width, size, filters, 1, 0};
    const int64_t area = rows_of(s) * columns_of(s) * filters;
    const int64_t taps = size * size + 1, chunks = (n + CHUNK - 1) / CHUNK;
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t chunk = 0; chunk < chunks; chunk++) {
#define BLOCK(s, lanes, first) SUM_BLOCK(pooled_gradients, winners, s, lanes, first)
        EACH_BLOCK(BLOCK)
#undef BLOCK
    }
}

/* The products of the even lanes, 64 bits each. */
INLINE pairs multiply_even(words a, uint32_t b) {
#if defined(__AVX512F__)
    return (pairs)_mm512_mul_epu32((__m512i)a, _mm512_set1_epi32((int)b));
#elif defined(__AVX2__)
    return (pairs)_mm256_mul_epu32((__m256i)a, _mm256_set1_epi32((int)b));
#elif defined(__SSE2__)
    return (pairs)_mm_mul_epu32((__m128i)a, _mm_set1_epi32((int)b));
#else
    return ((pairs)a & 0xFFFFFFFFu) * b;
#endif
}

/* The upper and the lower half of the product of each lane. */
INLINE void multiply_words(words a, uint32_t b, words *high, words *low) {
    const pairs even = multiply_even(a, b), odd = multiply_even((words)((pairs)a >> 32), b);
    const pairs low_half = (pairs){0} + 0xFFFFFFFFu;
    *high = (words)((even >> 32) | (odd & ~low_half));
    *low = (words)((even & low_half) | (odd << 32));
}

/* Philox4x32-10, the counter-based generator of Salmon et al., "Parallel random numbers: as easy
 * as 1, 2, 3" (SC 2011), for LANES counters at a time. */
INLINE void philox(words c[4], uint32_t key0, uint32_t key1) {
    for (int round = 0; round < 10; round++) {
        words high0, low0, high2, low2;
        multiply_words(c[0], 0xD2511F53u, &high0, &low0);
        multiply_words(c[2], 0xCD9E8D57u, &high2, &low2);
        c[0] = high2 ^ c[1] ^ key0;
        c[1] = low2;
        c[2] = high0 ^ c[3] ^ key1;
        c[3] = low0;
        key0 += 0x9E3779B9u;
        key1 += 0xBB67AE85u;
    }
}

/* Which values dropout makes 0: those whose 16 random bits are below `threshold`. The others are
 * multiplied by `scale`. The rows at hand are those from `first` on of a batch of `whole`. */
typedef struct {
    uint32_t threshold, seed, draw;
    float scale;
    int64_t first, whole;
} drop;

/* Which is decided by seed, draw and the value's index alone, so the gradient goes the same way.
 * Group g, of 128 values, uses the counters (16 g + k, 0, draw, 0) for k from 0 to 15; value
 * 16 q + k of the group, the 16 bits from 16 q on of block k. This is for the LANES counters from
 * `first` on, a multiple of LANES; `dropped[q]` is for the values from `index_of(first)` + 16 q. */
INLINE void draw_of(drop d, int64_t first, mask dropped[8]) {
    const words zero = {0};
    words c[4] = {zero, zero + (uint32_t)(first >> 32), zero + d.draw, zero};
    uint32_t counters[LANES];
    for (int l = 0; l < LANES; l++) counters[l] = (uint32_t)first + (uint32_t)l;
    memcpy(&c[0], counters, sizeof counters);
    philox(c, d.seed, 0);
    for (int q = 0; q < 8; q++)
        dropped[q] = (mask)(((c[q / 2] >> (16 * (q % 2))) & 0xFFFFu) < d.threshold);
}

INLINE int64_t index_of(int64_t counter) {
    return counter / COUNTERS * 8 * COUNTERS + counter % COUNTERS;
}

/* Write `from` (count) to `to`, with dropout; the first value's index is `offset`. */
EXPORT void dropout(const float *from, float *to, int64_t count, uint32_t threshold, float scale,
                    uint32_t seed, uint32_t draw, int64_t offset, int threads) {
    const drop d = {threshold, seed, draw, scale, 0, 0};
    const vector zero = {0};
    const int64_t group = 8 * COUNTERS, blocks = COUNTERS / LANES;
    const int64_t end = (offset + count + group - 1) / group * blocks;
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t block = offset / group * blocks; block < end; block++) {
        mask dropped[8];
        draw_of(d, block * LANES, dropped);
        for (int q = 0; q < 8; q++) {
            const int64_t at = index_of(block * LANES) + q * COUNTERS - offset;
            if (at >= 0 && at + LANES <= count) {
                store(to + at, where(dropped[q], zero, load(from + at, LANES) * scale), LANES);
                continue;
            }
            for (int64_t l = 0; l < LANES; l++)
                if (at + l >= 0 && at + l < count)
                    to[at + l] = dropped[q][l] ? 0 : from[at + l] * scale;
        }
    }
}

/* ---- Flattened maps times a dense layer's kernel, without the maps ----
 *
 * Most of a digit is background, where every map has one value. So per position the background is
 * multiplied once, for all images, and besides it only the images whose window is not flat: the
 * sums are the dense layer's own, in another order. The maps of a position are made where they
 * are used, and never written to memory.
 *
 * Dropout in between leaves every image a background of its own, so then all images are
 * multiplied. The values of the batch's image k at position p are dropped as those from index
 * (p * (the batch's images, rounded up to TILE) + k) * filters on. */

typedef struct {
    int64_t count, active;     /* rows; how many of them, the first ones, are not flat */
    int64_t first, images;     /* the first image that was looked at, and where to go on */
    int last;                  /* whether it is the position's last tile */
    const float *corner[TILE]; /* of each active row's window */
    int64_t image[TILE];       /* whose row it is; n: the background's */
} tile;

INLINE int64_t up(int64_t rows) { return (rows + ROWS - 1) / ROWS * ROWS; }

/* The next rows of a position: active images and, behind them, flat ones. With dropout, TILE images
 * at a time; without it as many as it takes to fill a tile, and the background for all flat ones. */
INLINE void fill(tile *t, shape s, int dropping, const float *images, const uint8_t *active,
                 int64_t position) {
    const int64_t columns = columns_of(s), cells = rows_of(s) * columns;
    const int64_t corner = (position / columns * s.width + position % columns) << s.pool;
    const int64_t end = dropping ? smaller(s.n, t->images + TILE) : s.n;
    int64_t flat_images[TILE] = {s.n}, n_flat = 0;
    t->first = t->images;
    t->count = 0;
    for (; t->images < end && t->count < TILE; t->images++) {
        const int is_active = active[t->images * cells + position];
        t->corner[t->count] = images + t->images * s.height * s.width + corner;
        t->image[t->count] = t->images;
        t->count += is_active;
        if (dropping) flat_images[n_flat] = t->images;
        n_flat += dropping && !is_active;
    }
    t->active = t->count;
    if (!dropping) n_flat = t->count < TILE;
    t->last = dropping ? t->images == s.n : n_flat > 0;
    for (int64_t r = 0; r < n_flat; r++) t->image[t->count++] = flat_images[r];
}

/* The maps of a tile's windows (count, filters), and which pixels won; `background` where flat. */
INLINE void values_of(const tile *t, shape s, const float *weights, const float *bias,
                      const float *background, float *x, mask *winners) {
    for (int64_t f = 0; f < s.filters; f += LANES) {
        vector w[MAX_SIZE * MAX_SIZE];
        load_weights(w, weights + f, s, LANES);
        for (int64_t r = 0; r < t->active; r++)
            store(x + r * s.filters + f,
                  value_of(s, t->corner[r], w, load(bias + f, LANES),
                           winners + (r * s.filters + f) / LANES),
                  LANES);
        for (int64_t r = t->active; r < t->count; r++)
            store(x + r * s.filters + f, load(background + f, LANES), LANES);
    }
}

/* Dropout on a tile's values. Those that are dropped have no winner. */
INLINE void drop_values(const tile *t, shape s, drop d, int64_t position, float *x,
                        mask *winners) {
    const int64_t rows = (d.whole + TILE - 1) / TILE * TILE, blocks = s.filters / LANES;
    const int64_t before = (d.first + t->first) % 8; /* 8 images of 16 filters are a group */
    const int64_t first = (position * rows + d.first + t->first - before) * s.filters;
    const vector zero = {0};
    mask dropped[(TILE + 8) * MAX_FILTERS / LANES];
    for (int64_t k = 0; index_of(k) < (before + t->images - t->first) * s.filters; k += LANES) {
        mask drawn[8];
        draw_of(d, first / 8 + k, drawn);
        for (int q = 0; q < 8; q++) dropped[(index_of(k) + q * COUNTERS) / LANES] = drawn[q];
    }
    for (int64_t r = 0; r < t->count; r++)
        for (int64_t b = 0; b < blocks; b++) {
            const mask gone = dropped[(before + t->image[r] - t->first) * blocks + b];
            float *value = x + r * s.filters + b * LANES;
            mask *winner = winners + r * blocks + b;
            store(value, where(gone, zero, load(value, LANES) * d.scale), LANES);
            *winner = (*winner & ~gone) | (NO_WINNER & gone);
        }
}

INLINE void multiply_block(int64_t count, const float *left, int64_t row, int64_t step,
                           const float *right, int64_t right_row, float *sums, int64_t sums_row,
                           int vectors) {
    vector sum[ROWS][VECTORS], factor[VECTORS];
    for (int r = 0; r < ROWS; r++)
        for (int v = 0; v < vectors; v++) sum[r][v] = load(sums + r * sums_row + v * LANES, LANES);
    for (int64_t k = 0; k < count; k++) {
        for (int v = 0; v < vectors; v++) factor[v] = load(right + k * right_row + v * LANES, LANES);
        for (int r = 0; r < ROWS; r++)
            for (int v = 0; v < vectors; v++) sum[r][v] += left[r * row + k * step] * factor[v];
    }
    for (int r = 0; r < ROWS; r++)
        for (int v = 0; v < vectors; v++) store(sums + r * sums_row + v * LANES, sum[r][v], LANES);
}

/* Add the product of left (rows, count) and right (count, columns) to sums (rows, columns). Columns
 * are a multiple of 16; rows are rounded up to a multiple of ROWS, and must be there. The value
 * (i, k) of left is at i * row + k * step. */
INLINE void multiply(int64_t rows, int64_t count, int64_t columns, const float *left, int64_t row,
                     int64_t step, const float *right, int64_t right_row, float *sums,
                     int64_t sums_row) {
#define BLOCK(vectors)                                                                      \
    for (int64_t r = 0; r < rows; r += ROWS)                                                \
        multiply_block(count, left + r * row, row, step, right + c, right_row,              \
                       sums + r * sums_row + c, sums_row, vectors)
    int64_t c = 0;
    for (; c + VECTORS * LANES <= columns; c += VECTORS * LANES) BLOCK(VECTORS);
    for (; c + 2 * LANES <= columns; c += 2 * LANES) BLOCK(2);
    for (; c < columns; c += LANES) BLOCK(1);
#undef BLOCK
}

/* The last vector begins at `last`, and may overlap the one before it. */
INLINE void multiply_row(int64_t count, const uint8_t *which, const float *left,
                         const float *right, int64_t right_row, float *sums, int vectors,
                         int64_t last) {
    vector sum[2 * VECTORS];
    for (int v = 0; v < vectors; v++)
        sum[v] = load(sums + (v < vectors - 1 ? v * LANES : last), LANES);
    for (int64_t i = 0; i < count; i++) {
        const float *row = right + which[i] * right_row;
        KEEP_POINTER(row);
        for (int v = 0; v < vectors; v++) sum[v] += left[which[i]] * load(row + v * LANES, LANES);
    }
    for (int v = 0; v < vectors; v++)
        store(sums + (v < vectors - 1 ? v * LANES : last), sum[v], LANES);
}

/* Write which of up to DEPTH values are not 0; return how many. May write LANES values more. */
INLINE int64_t find_nonzero(int64_t count, const float *values, uint8_t *which) {
    int64_t found = 0, k = 0;
#if defined(__AVX512F__)
    const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    for (; k + LANES <= count; k += LANES) {
        const __mmask16 some =
            _mm512_cmp_ps_mask(_mm512_loadu_ps(values + k), _mm512_setzero_ps(), _CMP_NEQ_UQ);
        const __m512i index = _mm512_add_epi32(lanes, _mm512_set1_epi32((int)k));
        const __m128i packed = _mm512_cvtepi32_epi8(_mm512_maskz_compress_epi32(some, index));
        _mm_storeu_si128((__m128i *)(which + found), packed);
        found += __builtin_popcount(some);
    }
#endif
    for (; k < count; k++) {
        which[found] = (uint8_t)k;
        found += values[k] != 0;
    }
    return found;
}

/* Add to sums (columns) the product of a left (count), of which many values are 0, and right
 * (count, columns); columns are a multiple of 16. */
INLINE void multiply_sparse(int64_t count, int64_t columns, const float *left, const float *right,
                            float *sums) {
    uint8_t which[MAX_FILTERS + LANES];
    const int64_t found = find_nonzero(count, left, which);
    int64_t c = 0;
#define BLOCK(vectors)                                                                   \
    multiply_row(found, which, left, right + c, columns, sums + c, vectors, ((vectors)-1) * LANES)
    if (found == 0) return;
    for (; c + 2 * VECTORS * LANES <= columns; c += 2 * VECTORS * LANES) BLOCK(2 * VECTORS);
    for (; c + VECTORS * LANES <= columns; c += VECTORS * LANES) BLOCK(VECTORS);
    for (; c < columns; c += LANES) BLOCK(1);
#undef BLOCK
}

/* to (columns, rows) is from (rows, columns) transposed. */
INLINE void transpose(const float *from, int64_t rows, int64_t columns, int64_t from_row,
                      float *to, int64_t to_row) {
    const int64_t rows4 = rows / 4 * 4, columns4 = columns / 4 * 4;
    for (int64_t i = 0; i < rows4; i += 4)
        for (int64_t j = 0; j < columns4; j += 4) {
            four r[4], even, odd;
            for (int k = 0; k < 4; k++) memcpy(&r[k], from + (i + k) * from_row + j, sizeof r[k]);
            for (int half = 0; half < 2; half++) {
                even = half ? SHUFFLE(r[0], r[2], 2, 6, 3, 7) : SHUFFLE(r[0], r[2], 0, 4, 1, 5);
                odd = half ? SHUFFLE(r[1], r[3], 2, 6, 3, 7) : SHUFFLE(r[1], r[3], 0, 4, 1, 5);
                const four first = SHUFFLE(even, odd, 0, 4, 1, 5);
                const four second = SHUFFLE(even, odd, 2, 6, 3, 7);
                memcpy(to + (j + 2 * half) * to_row + i, &first, sizeof first);
                memcpy(to + (j + 2 * half + 1) * to_row + i, &second, sizeof second);
            }
        }
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = i < rows4 ? columns4 : 0; j < columns; j++)
            to[j * to_row + i] = from[i * from_row + j];
}

INLINE void conv_dense_of(shape s, drop d, const float *images, const float *flat,
                          const float *weights, const float *bias, const float *dense,
                          const uint8_t *active, float *partial, int part) {
    const int64_t cells = rows_of(s) * columns_of(s);
    const int dropping = d.threshold > 0;
    float *outputs = partial + part * (s.n + 1) * s.units;
    float background[MAX_FILTERS], x[TILE * MAX_FILTERS], y[TILE * WIDE];
    mask winners[TILE * MAX_FILTERS / LANES];
    const tile one = {.count = 1, .active = 1, .corner = {flat}};
    values_of(&one, s, weights, bias, 0, background, winners);
    memset(outputs, 0, sizeof(float) * (size_t)((s.n + 1) * s.units));
    for (int64_t p = cells * part / PARTS; p < cells * (part + 1) / PARTS; p++)
        for (tile t = {0}; !t.last;) {
            fill(&t, s, dropping, images, active, p);
            values_of(&t, s, weights, bias, background, x, winners);
            if (dropping) {
                drop_values(&t, s, d, p, x, winners);
                for (int64_t r = 0; r < t.count; r++)
                    multiply_sparse(s.filters, s.units, x + r * s.filters,
                                    dense + p * s.filters * s.units,
                                    outputs + t.image[r] * s.units);
                continue;
            }
            for (int64_t r = 0; r < t.active; r++)
                for (int64_t f = 0; f < s.filters; f++) x[r * s.filters + f] -= background[f];
            for (int64_t u = 0; u < s.units; u += WIDE) {
                const int64_t units = smaller(WIDE, s.units - u);
                const float *here = dense + p * s.filters * s.units + u;
                memset(y, 0, sizeof(float) * WIDE * (size_t)up(t.count));
                multiply(t.count, s.filters, units, x, s.filters, 1, here, s.units, y, WIDE);
                for (int64_t r = 0; r < t.count; r++)
                    for (int64_t v = 0; v < units; v++)
                        outputs[t.image[r] * s.units + u + v] += y[r * WIDE + v];
            }
        }
}

/* Copy the rows' gradients (count, UNITS) of `units` units from u on; what is left of all in `rest`
 * is the background's. */
INLINE void gather(const tile *t, shape s, const float *gradients, int64_t u, int64_t units,
                   float *rest, float *g) {
    for (int64_t r = 0; r < t->count; r++)
        for (int64_t v = 0; v < units; v += LANES) {
            const int of_image = t->image[r] < s.n;
            const float *row = of_image ? gradients + t->image[r] * s.units : rest;
            const vector gradient = load(row + u + v, LANES);
            store(g + r * UNITS + v, gradient, LANES);
            if (of_image) store(rest + u + v, load(rest + u + v, LANES) - gradient, LANES);
        }
}

INLINE void conv_dense_gradients_of(shape s, drop d, const float *images, const float *flat,
                                    const float *weights, const float *bias, const float *dense,
                                    const uint8_t *active, const float *gradients,
                                    const float *summed, float *dense_gradients, float *partial,
                                    int part) {
    const int64_t cells = rows_of(s) * columns_of(s), area = s.filters * s.units;
    const int64_t taps = s.size * s.size + 1;
    float background[MAX_FILTERS], ones[MAX_FILTERS], x[TILE * MAX_FILTERS];
    float g[TILE * UNITS], back[TILE * MAX_FILTERS], rest[MAX_UNITS];
    float transposed[UNITS * MAX_FILTERS], shared[MAX_FILTERS * UNITS];
    float alive[TILE * MAX_FILTERS] = {0}; /* the flat rows' x, of the filters that see background */
    int64_t live[MAX_FILTERS], n_live = 0; /* which these are */
    mask background_winners[MAX_FILTERS / LANES], winners[TILE * MAX_FILTERS / LANES];
    vector sums[MAX_FILTERS / LANES][MAX_SIZE * MAX_SIZE + 1] = {{{0}}};
    vector of_flat[MAX_FILTERS] = {{0}};
    const tile one = {.count = 1, .active = 1, .corner = {flat}};
    values_of(&one, s, weights, bias, 0, background, background_winners);
    for (int64_t f = 0; f < s.filters; f++) {
        ones[f] = 1;
        live[n_live] = f;
        n_live += background[f] > 0;
    }
    for (int64_t p = cells * part / PARTS; p < cells * (part + 1) / PARTS; p++) {
        memset(dense_gradients + p * area, 0, sizeof(float) * (size_t)area);
        memcpy(rest, summed, sizeof(float) * (size_t)s.units);
        for (tile t = {0}; !t.last;) {
            fill(&t, s, d.threshold > 0, images, active, p);
            values_of(&t, s, weights, bias, ones, x, winners);
            if (d.threshold > 0) drop_values(&t, s, d, p, x, winners);
            memset(back, 0, sizeof(float) * (size_t)(up(t.active) * s.filters));
            for (int64_t r = t.active; r < t.count; r++)
                for (int64_t l = 0; l < n_live; l++)
                    alive[(r - t.active) * MAX_FILTERS + l] = x[r * s.filters + live[l]];
            for (int64_t u = 0; u < s.units; u += UNITS) {
                const int64_t units = smaller(UNITS, s.units - u);
                const float *here = dense + p * area + u;
                float *to = dense_gradients + p * area + u;
                gather(&t, s, gradients, u, units, rest, g);
                multiply(s.filters, t.active, units, x, 1, s.filters, g, UNITS, to, s.units);
                transpose(here, s.filters, units, s.units, transposed, s.filters);
                multiply(t.active, units, s.filters, g, UNITS, 1, transposed, s.filters, back,
                         s.filters);
                if (t.count == t.active) continue;
                /* All flat rows have the same maps, so their gradients are summed first. */
                memset(shared, 0, sizeof(float) * (size_t)(s.filters * UNITS));
                multiply(n_live, t.count - t.active, units, alive, 1, MAX_FILTERS,
                         g + t.active * UNITS, UNITS, shared, UNITS);
                for (int64_t l = 0; l < n_live; l++)
                    for (int64_t v = 0; v < units; v += LANES) {
                        const int64_t f = live[l];
                        const vector gradient = load(shared + l * UNITS + v, LANES);
                        float *sum = to + f * s.units + v;
                        store(sum, load(sum, LANES) + background[f] * gradient, LANES);
                        of_flat[f] += load(here + f * s.units + v, LANES) * gradient;
                    }
            }
            for (int64_t f = 0; f < s.filters; f += LANES)
                for (int64_t r = 0; r < t.active; r++)
                    add_winners(s, t.corner[r], winners[(r * s.filters + f) / LANES],
                                load(back + r * s.filters + f, LANES) * d.scale,
                                sums[f / LANES]);
        }
    }
    for (int64_t f = 0; f < s.filters; f++) {
        ones[f] = 0;
        for (int l = 0; l < LANES; l++) ones[f] += of_flat[f][l];
    }
    for (int64_t f = 0; f < s.filters; f += LANES) {
        add_winners(s, flat, background_winners[f / LANES], load(ones + f, LANES),
                    sums[f / LANES]);
        for (int64_t tap = 0; tap < taps; tap++)
            store(partial + (part * taps + tap) * s.filters + f, sums[f / LANES][tap], LANES);
    }
}

/* Run `part_of` for each part of the positions. 3x3 kernels are compiled for themselves. */
#define EACH_PART(part_of, ...)                                                      \
    _Pragma("omp parallel for num_threads(threads) schedule(dynamic)")               \
    for (int part = 0; part < PARTS; part++) {                                       \
        const shape s3 = {n, height, width, 3, filters, 0, units};                   \
        const shape s3_pool = {n, height, width, 3, filters, 1, units};              \
        const shape s = {n, height, width, size, filters, pool, units};              \
        const drop d = {threshold, seed, draw, scale, first, whole};                 \
        if (size == 3 && !pool)                                                      \
            part_of(s3, d, __VA_ARGS__, part);                                       \
        else if (size == 3)                                                          \
            part_of(s3_pool, d, __VA_ARGS__, part);                                  \
        else                                                                         \
            part_of(s, d, __VA_ARGS__, part);                                        \
    }

/* Where the windows of `images` are not flat. */
EXPORT void find_active(const float *images, const float *flat, uint8_t *active, int64_t n,
                        int64_t height, int64_t width, int64_t size, int64_t pool, int threads) {
    const shape s = {n, height, width, size, 0, pool, 0};
    const int64_t columns = columns_of(s), cells = rows_of(s) * columns, window = size + pool;
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t k = 0; k < n; k++)
        for (int64_t i = 0; i < rows_of(s); i++) {
            const float *top = images + (k * height + (i << pool)) * width;
            uint8_t line[width]; /* 1 where one of the window's pixels above each other is not flat */
            memset(line, 0, sizeof line);
            for (int64_t u = 0; u < window; u++)
                for (int64_t j = 0; j < width; j++) line[j] |= top[u * width + j] != flat[0];
            for (int64_t j = 0; j < columns; j++) {
                uint8_t any = 0;
                for (int64_t v = 0; v < window; v++) any |= line[(j << pool) + v];
                active[k * cells + i * columns + j] = any;
            }
        }
}

/* Sum up the outputs, without the dense layer's bias, into partial (PARTS, n + 1, units): of the
 * images, less the background's, and of the background. With dropout (a threshold above 0), those
 * of the images, and zeros. */
EXPORT void conv_dense(const float *images, const float *flat, const float *weights,
                       const float *bias, const float *dense, const uint8_t *active,
                       float *partial, int64_t n, int64_t height, int64_t width, int64_t size,
                       int64_t filters, int64_t pool, int64_t units, uint32_t threshold,
                       float scale, uint32_t seed, uint32_t draw, int64_t first, int64_t whole,
                       int threads) {
    EACH_PART(conv_dense_of, images, flat, weights, bias, dense, active, partial)
}

/* Write dense's gradients and sum up those of weights and bias into partial (PARTS, size * size + 1,
 * filters), from the outputs' gradients (n, units), which are summed in `summed` (units). */
EXPORT void conv_dense_gradients(const float *images, const float *flat, const float *weights,
                                 const float *bias, const float *dense, const uint8_t *active,
                                 const float *gradients, const float *summed,
                                 float *dense_gradients, float *partial, int64_t n, int64_t height,
                                 int64_t width, int64_t size, int64_t filters, int64_t pool,
                                 int64_t units, uint32_t threshold, float scale, uint32_t seed,
                                 uint32_t draw, int64_t first, int64_t whole, int threads) {
    EACH_PART(conv_dense_gradients_of, images, flat, weights, bias, dense, active, gradients,
              summed, dense_gradients, partial)
}

/* Add to product (some, columns), some up to BAND, that of left (some, count), of which many values
 * are 0, and right (count, columns), count up to DEPTH; at least LANES columns. */
INLINE void multiply_band(int64_t some, int64_t count, int64_t columns, const float *left,
                          int64_t row, const float *right, float *product) {
    const int64_t vectors = (columns + LANES - 1) / LANES;
    const int64_t blocks = (vectors + 2 * VECTORS - 1) / (2 * VECTORS);
    int64_t found[BAND];
    uint8_t which[BAND][DEPTH + LANES];
    vector packed[DEPTH * 2 * VECTORS]; /* right's: side by side and aligned */
    for (int64_t r = 0; r < some; r++) found[r] = find_nonzero(count, left + r * row, which[r]);
    for (int64_t b = 0; b < blocks; b++) {
        const int64_t begin = vectors * b / blocks, end = vectors * (b + 1) / blocks;
        const int64_t c = begin * LANES;
        const int64_t last = smaller((end - 1) * LANES, columns - LANES) - c;
#define BLOCK(vectors)                                                                         \
    case vectors:                                                                              \
        for (int64_t k = 0; k < count; k++)                                                    \
            for (int v = 0; v < vectors; v++)                                                  \
                packed[k * vectors + v] =                                                      \
                    load(right + k * columns + c + (v < vectors - 1 ? v * LANES : last), LANES); \
        for (int64_t r = 0; r < some; r++)                                                     \
            multiply_row(found[r], which[r], left + r * row, (const float *)packed,            \
                         vectors * LANES, product + r * columns + c, vectors, last);           \
        break;
        switch (end - begin) {
            BLOCK(1) BLOCK(2) BLOCK(3) BLOCK(4)
            BLOCK(5) BLOCK(6) BLOCK(7) BLOCK(8) /* 2 * VECTORS */
        }
#undef BLOCK
    }
}

/* Write the product of left (rows, count), of which many values are 0, and right (count, columns).
 * The value (i, k) of left is at i * row + k * step; one of the two is 1. */
EXPORT void multiply_zeros(const float *left, const float *right, float *product, int64_t rows,
                           int64_t count, int64_t columns, int64_t row, int64_t step,
                           int threads) {
    const int64_t bands = (rows + BAND * threads - 1) / (BAND * threads) * threads;
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t band = 0; band < bands; band++) {
        const int64_t first = rows * band / bands, some = rows * (band + 1) / bands - first;
        float *to = product + first * columns;
        float turned[BAND * DEPTH];                                  /* left's, in rows */
        float wide[DEPTH * LANES] = {0}, sums[BAND * LANES] = {0}; /* where columns are too few */
        memset(to, 0, sizeof(float) * (size_t)(some * columns));
        for (int64_t k = 0; k < count; k += DEPTH) {
            const int64_t deep = smaller(DEPTH, count - k), from_row = step == 1 ? row : DEPTH;
            const float *values = left + first * row + k * step, *factors = right + k * columns;
            if (step != 1) {
                transpose(values, deep, some, step, turned, DEPTH);
                values = turned;
            }
            if (columns >= LANES) {
                multiply_band(some, deep, columns, values, from_row, factors, to);
                continue;
            }
            for (int64_t i = 0; i < deep; i++)
                for (int64_t c = 0; c < columns; c++) wide[i * LANES + c] = factors[i * columns + c];
            multiply_band(some, deep, LANES, values, from_row, wide, sums);
        }
        for (int64_t r = 0; columns < LANES && r < some; r++)
            for (int64_t c = 0; c < columns; c++) to[r * columns + c] = sums[r * LANES + c];
    }
}

/* ---- Dense layers with ReLU, the last one with softmax and cross-entropy ----
 *
 * The loss, and all gradients with it, in one call: between ReLUs half of everything is 0. */

/* Replace values (n, units) by dropout(ReLU(values + bias)). */
static void activate(float *values, const float *bias, int64_t n, int64_t units, drop d,
                     int threads) {
    const vector zero = {0};
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t k = 0; k < n; k++)
        for (int64_t u = 0; u < units; u += LANES) {
            const int64_t lanes = smaller(LANES, units - u);
            const vector sum = load(values + k * units + u, lanes) + load(bias + u, lanes);
            store(values + k * units + u, where(sum <= zero, zero, sum), lanes);
        }
    if (d.threshold > 0)
        dropout(values, values, n * units, d.threshold, d.scale, d.seed, d.draw, d.first * units,
                threads);
}

/* Set the gradients of values that are 0 to 0, and scale the others. */
static void deactivate(float *gradients, const float *values, int64_t count, float scale,
                       int threads) {
    const vector zero = {0};
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t i = 0; i < count; i += LANES) {
        const int64_t lanes = smaller(LANES, count - i);
        const vector g = load(gradients + i, lanes) * scale;
        store(gradients + i, where(load(values + i, lanes) == zero, zero, g), lanes);
    }
}

/* Turn an image's product with the last layer into its logits, and write their gradients. Returns
 * the loss; `right` grows by 1 where the first of the highest logits is the label's. */
INLINE float crossentropy(float *logits, const float *bias, int64_t classes, int64_t label,
                          float share, float *gradients, int64_t *right) {
    float highest = -INFINITY, sum = 0;
    int64_t best = 0;
    for (int64_t c = 0; c < classes; c++) {
        logits[c] += bias[c];
        best = logits[c] > highest ? c : best;
        highest = logits[best];
    }
    *right += best == label;
    for (int64_t c = 0; c < classes; c++) sum += gradients[c] = expf(logits[c] - highest);
    for (int64_t c = 0; c < classes; c++) gradients[c] *= share / sum;
    gradients[label] -= share;
    return logf(sum) + highest - logits[label];
}

/* Write the loss, the mean over n images, the logits, and what these n add to the gradients of all
 * weights and biases: to those of the mean over a batch of `whole` images.
 *
 *   x         (n, sizes[0]); or, where weights[0] is null, the first layer's product, (n, sizes[1])
 *   labels    (n), each below sizes[layers]
 *   weights   of each layer (sizes[i], sizes[i + 1]); bias (sizes[i + 1])
 *   drops     what dropout makes 0 of the values of each layer but the last
 *   values    of each layer (n, sizes[i + 1]); of the last, the logits
 *   gradients of each layer's product, likewise; of weights and bias in those arrays
 *   scratch   as long as the largest weights but the first
 *   measured  the loss, and how many labels the highest logit is right about
 *
 * Returns 0, or 1, and nothing written, where a label is none. */
EXPORT int dense_loss(const float *x, const int64_t *labels, int64_t n, int64_t whole,
                       int64_t layers, const int64_t *sizes, const float *const *weights, const float *const *bias,
                       const drop *drops, float *const *values, float *const *gradients,
                       float *const *weight_gradients, float *const *bias_gradients,
                       float *scratch, float *measured, int threads) {
    const int64_t classes = sizes[layers];
    int64_t right = 0;
    double total = 0;
    for (int64_t k = 0; k < n; k++)
        if (labels[k] < 0 || labels[k] >= classes) return 1;
    for (int64_t i = 0; i < layers; i++) {
        const float *from = i ? values[i - 1] : x;
        if (weights[i])
            multiply_zeros(from, weights[i], values[i], n, sizes[i], sizes[i + 1], sizes[i], 1,
                           threads);
        else
            memcpy(values[i], x, sizeof(float) * (size_t)(n * sizes[i + 1]));
        if (i < layers - 1) activate(values[i], bias[i], n, sizes[i + 1], drops[i], threads);
    }
    for (int64_t k = 0; k < n; k++)
        total += crossentropy(values[layers - 1] + k * classes, bias[layers - 1], classes,
                              labels[k], 1.0f / (float)whole, gradients[layers - 1] + k * classes,
                              &right);
    measured[0] = (float)(total / (double)n);
    measured[1] = (float)right;
    for (int64_t i = layers - 1; i >= 0; i--) {
        const float *from = i ? values[i - 1] : x;
        const int64_t inputs = sizes[i], units = sizes[i + 1];
        memset(bias_gradients[i], 0, sizeof(float) * (size_t)units);
        for (int64_t k = 0; k < n; k++)
            for (int64_t u = 0; u < units; u++) bias_gradients[i][u] += gradients[i][k * units + u];
        if (weights[i])
            multiply_zeros(from, gradients[i], weight_gradients[i], inputs, n, units, 1, inputs,
                           threads);
        if (i == 0) break;
#pragma omp parallel for num_threads(threads) schedule(static)
        for (int64_t k = 0; k < inputs; k += BAND)
            transpose(weights[i] + k * units, smaller(BAND, inputs - k), units, units, scratch + k,
                      inputs);
        multiply_zeros(gradients[i], scratch, gradients[i - 1], n, units, inputs, units, 1,
                       threads);
        deactivate(gradients[i - 1], values[i - 1], n * inputs, drops[i - 1].scale, threads);
    }
    return 0;
}

/* ---- Convolution of small maps of many channels, with stride 1 ----
 *
 *   maps      (n, height, width, channels)
 *   kernel    (size, size, channels, filters); channels and filters are multiples of 16
 *   outputs   (n, rows, columns, filters), of maps with `padding` zeros, less than size, around them
 *   turned    (size, size, filters, channels): scratch
 *   padded    (PARTS, the height that is padded, the padded width, its channels): scratch */

typedef struct {
    int64_t n, height, width, channels, size, filters, padding;
} layer;

INLINE int64_t longer(layer l, int64_t side) { return side + 2 * l.padding - l.size + 1; }

/* Outputs of WINDOWS windows side by side, or fewer, for one or two vectors of filters. `maps` is
 * the first window's corner, in the row that the kernel's row `top` is for. */
INLINE void windows_block(layer l, const float *maps, int64_t top, int64_t bottom,
                          const float *kernel, const float *bias, float *outputs, int windows,
                          int vectors) {
    vector sum[WINDOWS][2] = {{{0}}}, factor[2];
    for (int v = 0; v < vectors; v++)
        for (int w = 0; bias && w < windows; w++) sum[w][v] = load(bias + v * LANES, LANES);
    for (int64_t u = top; u < bottom; u++) {
        const float *line = maps + (u - top) * l.width * l.channels;
        const float *weights = kernel + u * l.size * l.channels * l.filters;
        for (int64_t k = 0; k < l.size * l.channels; k++) {
            for (int v = 0; v < vectors; v++)
                factor[v] = load(weights + k * l.filters + v * LANES, LANES);
            for (int w = 0; w < windows; w++)
                for (int v = 0; v < vectors; v++)
                    sum[w][v] += line[w * l.channels + k] * factor[v];
        }
    }
    for (int w = 0; w < windows; w++)
        for (int v = 0; v < vectors; v++)
            store(outputs + w * l.filters + v * LANES, sum[w][v], LANES);
}

/* Convolve one image, whose padding to the left and right is there, above and below is not. */
INLINE void convolve_image(layer l, const float *maps, const float *kernel, const float *bias,
                           float *outputs) {
    const int64_t rows = longer(l, l.height), columns = l.width - l.size + 1;
    const int64_t blocks = (columns + WINDOWS - 1) / WINDOWS;
    for (int64_t i = 0; i < rows; i++) {
        const int64_t top = i < l.padding ? l.padding - i : 0;
        const int64_t bottom = smaller(l.size, l.height + l.padding - i);
        for (int64_t b = 0; b < blocks; b++) {
            const int64_t j = columns * b / blocks, windows = columns * (b + 1) / blocks - j;
            const float *corner = maps + ((i + top - l.padding) * l.width + j) * l.channels;
            float *to = outputs + (i * columns + j) * l.filters;
#define BLOCK(windows)                                                                         \
    case windows: {                                                                            \
        int64_t f = 0;                                                                         \
        for (; f + 2 * LANES <= l.filters; f += 2 * LANES)                                     \
            windows_block(l, corner, top, bottom, kernel + f, bias ? bias + f : 0, to + f,     \
                          windows, 2);                                                         \
        for (; f < l.filters; f += LANES)                                                      \
            windows_block(l, corner, top, bottom, kernel + f, bias ? bias + f : 0, to + f,     \
                          windows, 1);                                                         \
        break;                                                                                 \
    }
            switch (windows) {
                BLOCK(1) BLOCK(2) BLOCK(3) BLOCK(4)
#if WINDOWS == 8
                BLOCK(5) BLOCK(6) BLOCK(7) BLOCK(8)
#endif
            }
#undef BLOCK
        }
    }
}

/* Convolve all images; a part of them at a time has zeros put to its left and right. */
static void convolve_all(layer l, const float *maps, const float *kernel, const float *bias,
                         float *outputs, float *padded, int threads) {
    const int64_t wide = l.width + 2 * l.padding, line = l.width * l.channels;
    const int64_t area = longer(l, l.height) * longer(l, l.width) * l.filters;
    const layer broad = {l.n, l.height, wide, l.channels, l.size, l.filters, l.padding};
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t part = 0; part < PARTS; part++) {
        float *there = padded + part * l.height * wide * l.channels;
        if (l.padding)
            memset(there, 0, sizeof(float) * (size_t)(l.height * wide * l.channels));
        for (int64_t k = l.n * part / PARTS; k < l.n * (part + 1) / PARTS; k++) {
            const float *image = maps + k * l.height * line;
            for (int64_t i = 0; l.padding && i < l.height; i++)
                memcpy(there + (i * wide + l.padding) * l.channels, image + i * line,
                       sizeof(float) * (size_t)line);
            convolve_image(broad, l.padding ? there : image, kernel, bias, outputs + k * area);
        }
    }
}

/* `bias` (filters) may be null. */
EXPORT void convolve(const float *maps, const float *kernel, const float *bias, float *outputs,
                     float *padded, int64_t n, int64_t height, int64_t width, int64_t channels,
                     int64_t size, int64_t filters, int64_t padding, int threads) {
    const layer l = {n, height, width, channels, size, filters, padding};
    convolve_all(l, maps, kernel, bias, outputs, padded, threads);
}

/* Write the gradients of maps: those of outputs, convolved with the kernel turned around. */
EXPORT void convolve_of_maps(const float *kernel, const float *gradients, float *of_maps,
                             float *turned, float *padded, int64_t n, int64_t height,
                             int64_t width, int64_t channels, int64_t size, int64_t filters,
                             int64_t padding, int threads) {
    const layer l = {n, height, width, channels, size, filters, padding};
    const layer back = {n, longer(l, height), longer(l, width), filters, size, channels,
                        size - 1 - padding};
    const int64_t taps = size * size, area = channels * filters;
    for (int64_t tap = 0; tap < taps; tap++)
        transpose(kernel + (taps - 1 - tap) * area, channels, filters, filters,
                  turned + tap * area, channels);
    convolve_all(back, gradients, turned, 0, of_maps, padded, threads);
}

/* The gradients of the weights from WINDOWS channels to one or two vectors of filters, at one tap:
 * sums over all images, so that there is nothing to add up. */
INLINE void kernel_block(layer l, const float *maps, const float *gradients, int64_t u, int64_t v,
                         float *of_kernel, int vectors) {
    const int64_t rows = longer(l, l.height), columns = longer(l, l.width);
    const int64_t first = v < l.padding ? l.padding - v : 0;
    const int64_t last = smaller(columns, l.width + l.padding - v);
    vector sum[WINDOWS][2] = {{{0}}}, factor[2];
    for (int64_t k = 0; k < l.n; k++)
        for (int64_t i = u < l.padding ? l.padding - u : 0;
             i < smaller(rows, l.height + l.padding - u); i++) {
            const int64_t line = k * l.height + i + u - l.padding;
            const float *x = maps + (line * l.width + first + v - l.padding) * l.channels;
            const float *g = gradients + ((k * rows + i) * columns + first) * l.filters;
            for (int64_t j = first; j < last; j++, x += l.channels, g += l.filters) {
                for (int c = 0; c < vectors; c++) factor[c] = load(g + c * LANES, LANES);
                for (int w = 0; w < WINDOWS; w++)
                    for (int c = 0; c < vectors; c++) sum[w][c] += x[w] * factor[c];
            }
        }
    for (int w = 0; w < WINDOWS; w++)
        for (int c = 0; c < vectors; c++)
            store(of_kernel + w * l.filters + c * LANES, sum[w][c], LANES);
}

EXPORT void convolve_of_kernel(const float *maps, const float *gradients, float *of_kernel,
                               int64_t n, int64_t height, int64_t width, int64_t channels,
                               int64_t size, int64_t filters, int64_t padding, int threads) {
    const layer l = {n, height, width, channels, size, filters, padding};
    const int64_t groups = channels / WINDOWS;
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t job = 0; job < size * size * groups; job++) {
        const int64_t tap = job / groups, c = job % groups * WINDOWS;
        const int64_t u = tap / size, v = tap % size;
        float *to = of_kernel + (tap * channels + c) * filters;
        int64_t f = 0;
        for (; f + 2 * LANES <= filters; f += 2 * LANES)
            kernel_block(l, maps + c, gradients + f, u, v, to + f, 2);
        for (; f < filters; f += LANES)
            kernel_block(l, maps + c, gradients + f, u, v, to + f, 1);
    }
}

/* ---- Batch normalization of maps with ReLU and, where s.pool is 1, 2x2 max pooling ----
 *
 *   maps      (n, height, width, filters)
 *   outputs   as maps or, pooled, (n, height / 2, width / 2, filters) rounded down
 *   winners   as pooled outputs
 *   scale     (filters), and offset: what the normalized maps are multiplied by, and added to
 *   measured  (MEASURES, filters): all but the last two are found on the way forward. Everything
 *             is reckoned from the first pixel, PIVOT, so that maps far from 0 lose nothing
 *   sums      (PARTS, 2, filters): scratch */

enum measure { MEAN, VARIANCE, PIVOT, ABOVE, INVERSE, FACTOR, SHIFT, SLOPE, LEVEL, MEASURES };

/* Run `block(s, lanes, first)` for each LANES filters from `first` on, full ones for themselves. */
#define EACH_VECTOR(block)                                           \
    for (int64_t first = 0; first < s.filters; first += LANES) {     \
        if (s.filters - first >= LANES)                              \
            block(s, LANES, first);                                  \
        else                                                         \
            block(s, s.filters - first, first);                      \
    }

/* The sums of what some pixels (count, filters) are above `pivot`, and of its squares. */
INLINE void sum_pixels(shape s, int64_t lanes, const float *maps, int64_t count, vector pivot,
                       float *sums) {
    vector sum[4] = {{0}}, squares[4] = {{0}};
    for (int64_t k = 0; k < count; k += 4)
        for (int64_t j = 0; j < smaller(4, count - k); j++) {
            const vector above = load(maps + (k + j) * s.filters, lanes) - pivot;
            sum[j] += above;
            squares[j] += above * above;
        }
    store(sums, sum[0] + sum[1] + sum[2] + sum[3], lanes);
    store(sums + s.filters, squares[0] + squares[1] + squares[2] + squares[3], lanes);
}

INLINE void normalize_image(shape s, int64_t lanes, const float *maps, const float *measured,
                            float *outputs, uint8_t *winners) {
    const vector pivot = load(measured + PIVOT * s.filters, lanes);
    const vector factor = load(measured + FACTOR * s.filters, lanes);
    const vector shift = load(measured + SHIFT * s.filters, lanes);
    const int32_t pixels = s.pool ? 4 : 1;
    for (int64_t i = 0; i < rows_of(s); i++)
        for (int64_t j = 0; j < columns_of(s); j++) {
            const float *corner = maps + ((i << s.pool) * s.width + (j << s.pool)) * s.filters;
            const int64_t at = (i * columns_of(s) + j) * s.filters;
            vector values[4];
            mask winner;
            for (int32_t k = 0; k < pixels; k++) {
                const float *pixel = corner + (k / 2 * s.width + k % 2) * s.filters;
                values[k] = (load(pixel, lanes) - pivot) * factor + shift;
            }
            store(outputs + at, highest(values, pixels, &winner), lanes);
            if (!s.pool) continue;
            const bytes which = __builtin_convertvector(winner, bytes);
            memcpy(winners + at, &which, (size_t)lanes);
        }
}

/* The gradient of LANES maps' pixel (i, j), before normalization; 0 where it did not win. */
INLINE vector gradient_of(shape s, int64_t lanes, int64_t i, int64_t j, const float *outputs,
                          const uint8_t *winners, const float *gradients) {
    const vector zero = {0};
    const int64_t row = i >> s.pool, column = j >> s.pool;
    if (row >= rows_of(s) || column >= columns_of(s)) return zero;
    const int64_t at = (row * columns_of(s) + column) * s.filters;
    const vector gradient = load(gradients + at, lanes);
    if (!s.pool) return where(load(outputs + at, lanes) <= zero, zero, gradient);
    bytes which = {0};
    memcpy(&which, winners + at, (size_t)lanes);
    const mask winner = __builtin_convertvector(which, mask);
    return where(winner == (int32_t)(2 * (i % 2) + j % 2), gradient, zero);
}

/* The sums of an image's gradients, and of those times what the pixel is above the pivot. */
INLINE void sum_gradients(shape s, int64_t lanes, const float *maps, const float *measured,
                          const float *outputs, const uint8_t *winners, const float *gradients,
                          float *sums) {
    const vector pivot = load(measured + PIVOT * s.filters, lanes);
    vector sum = load(sums, lanes), products = load(sums + s.filters, lanes);
    for (int64_t i = 0; i < rows_of(s) << s.pool; i++)
        for (int64_t j = 0; j < columns_of(s) << s.pool; j++) {
            const vector g = gradient_of(s, lanes, i, j, outputs, winners, gradients);
            sum += g;
            products += g * (load(maps + (i * s.width + j) * s.filters, lanes) - pivot);
        }
    store(sums, sum, lanes);
    store(sums + s.filters, products, lanes);
}

/* Each pixel moves the mean and the variance of all. */
INLINE void gradients_of_image(shape s, int64_t lanes, const float *maps, const float *measured,
                               const float *outputs, const uint8_t *winners,
                               const float *gradients, float *of_maps) {
    const vector pivot = load(measured + PIVOT * s.filters, lanes);
    const vector factor = load(measured + FACTOR * s.filters, lanes);
    const vector slope = load(measured + SLOPE * s.filters, lanes);
    const vector level = load(measured + LEVEL * s.filters, lanes);
    for (int64_t i = 0; i < s.height; i++)
        for (int64_t j = 0; j < s.width; j++) {
            const int64_t at = (i * s.width + j) * s.filters;
            const vector g = gradient_of(s, lanes, i, j, outputs, winners, gradients);
            store(of_maps + at, (load(maps + at, lanes) - pivot) * slope + level + g * factor, lanes);
        }
}

/* Add up the first sums of all parts, of one filter. */
INLINE double total(const float *sums, int64_t filters, int64_t f) {
    double sum = 0;
    for (int64_t part = 0; part < PARTS; part++) sum += sums[2 * part * filters + f];
    return sum;
}

EXPORT void normalize(const float *maps, const float *scale, const float *offset, float *outputs,
                      uint8_t *winners, float *measured, float *sums, int64_t n, int64_t height,
                      int64_t width, int64_t filters, int64_t pool, float epsilon, int threads) {
    const shape s = {n, height, width, 1, filters, pool, 0};
    const int64_t pixels = n * height * width, area = rows_of(s) * columns_of(s) * filters;
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t part = 0; part < PARTS; part++) {
        const int64_t begin = pixels * part / PARTS, end = pixels * (part + 1) / PARTS;
#define BLOCK(s, lanes, first)                                                        \
    sum_pixels(s, lanes, maps + begin * filters + first, end - begin,                 \
               load(maps + first, lanes), sums + 2 * part * filters + first)
        EACH_VECTOR(BLOCK)
#undef BLOCK
    }
    for (int64_t f = 0; f < filters; f++) {
        double sum = total(sums, filters, f), squares = total(sums + filters, filters, f);
        sum /= (double)pixels;
        const double variance = squares / (double)pixels - sum * sum;
        const double positive = variance < 0 ? 0 : variance, inverse = 1 / sqrt(positive + epsilon);
        measured[MEAN * filters + f] = (float)(maps[f] + sum);
        measured[VARIANCE * filters + f] = (float)positive;
        measured[PIVOT * filters + f] = maps[f];
        measured[ABOVE * filters + f] = (float)sum;
        measured[INVERSE * filters + f] = (float)inverse;
        measured[FACTOR * filters + f] = (float)(scale[f] * inverse);
        measured[SHIFT * filters + f] = (float)(offset[f] - sum * scale[f] * inverse);
    }
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t k = 0; k < n; k++) {
#define BLOCK(s, lanes, first)                                                          \
    normalize_image(s, lanes, maps + k * height * width * filters + first, measured + first, \
                    outputs + k * area + first, pool ? winners + k * area + first : winners)
        EACH_VECTOR(BLOCK)
#undef BLOCK
    }
}

/* Write the gradients of scale, offset and maps. Complete `measured`. */
EXPORT void normalize_gradients(const float *maps, const float *outputs, const uint8_t *winners,
                                const float *gradients, float *measured, float *of_scale,
                                float *of_offset, float *of_maps, float *sums, int64_t n,
                                int64_t height, int64_t width, int64_t filters, int64_t pool,
                                int threads) {
    const shape s = {n, height, width, 1, filters, pool, 0};
    const int64_t pixels = n * height * width, area = rows_of(s) * columns_of(s) * filters;
    memset(sums, 0, sizeof(float) * (size_t)(2 * PARTS * filters));
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t part = 0; part < PARTS; part++)
        for (int64_t k = n * part / PARTS; k < n * (part + 1) / PARTS; k++) {
#define BLOCK(s, lanes, first)                                                                  \
    sum_gradients(s, lanes, maps + k * height * width * filters + first, measured + first,      \
                  outputs + k * area + first, pool ? winners + k * area + first : winners,      \
                  gradients + k * area + first, sums + 2 * part * filters + first)
            EACH_VECTOR(BLOCK)
#undef BLOCK
        }
    for (int64_t f = 0; f < filters; f++) {
        double sum = total(sums, filters, f), products = total(sums + filters, filters, f);
        const double inverse = measured[INVERSE * filters + f];
        const double above = measured[ABOVE * filters + f];
        products -= above * sum;
        const double factor = measured[FACTOR * filters + f] / (double)pixels;
        const double slope = -factor * inverse * inverse * products;
        of_offset[f] = (float)sum;
        of_scale[f] = (float)(products * inverse);
        measured[SLOPE * filters + f] = (float)slope;
        measured[LEVEL * filters + f] = (float)(-factor * sum - slope * above);
    }
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t k = 0; k < n; k++) {
#define BLOCK(s, lanes, first)                                                                  \
    gradients_of_image(s, lanes, maps + k * height * width * filters + first, measured + first, \
                       outputs + k * area + first, pool ? winners + k * area + first : winners, \
                       gradients + k * area + first,                                            \
                       of_maps + k * height * width * filters + first)
        EACH_VECTOR(BLOCK)
#undef BLOCK
    }
}

/* 2: AVX-512, 1: AVX2 with FMA, 0: neither, or no x86. */
EXPORT int instruction_set(void) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
        return 2;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return 1;
#endif
    return 0;
}
