/* What Torch does slowly at the size of a digit: convolution of one channel with bias, ReLU and
 * 2x2 max pooling, forward and backward, and dropout.
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
 */
#include <stdint.h>
#include <string.h>

#if defined(__AVX512F__)
#define LANES 16 /* filters at a time: as many as a register holds */
#elif defined(__AVX2__)
#define LANES 8
#else
#define LANES 4
#endif
#define CHUNK 8 /* images whose gradients are summed by one thread */
#define MAX_SIZE 7
#define NO_WINNER 4
#define COUNTERS 16 /* of the generator: a group of them makes 8 * COUNTERS values */

#define INLINE static inline __attribute__((always_inline))
#if defined(_WIN32)
#define EXPORT __declspec(dllexport)
#else
#define EXPORT __attribute__((visibility("default")))
#endif

typedef float vector __attribute__((vector_size(4 * LANES)));
typedef int32_t mask __attribute__((vector_size(4 * LANES)));
typedef uint32_t words __attribute__((vector_size(4 * LANES)));
typedef uint8_t bytes __attribute__((vector_size(LANES)));

typedef struct {
    int64_t n, height, width, size, filters;
} shape;

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

/* One pixel of LANES maps. Not a number stays what it is, in ReLU and maximum alike. */
INLINE vector pixel(const float *image, int64_t width, int64_t size, const vector *weights,
                    vector bias) {
    vector sum = bias;
    for (int64_t u = 0; u < size; u++)
        for (int64_t v = 0; v < size; v++) sum += image[u * width + v] * weights[u * size + v];
    return sum;
}

INLINE void load_weights(vector *into, const float *weights, shape s, int64_t lanes) {
    for (int64_t tap = 0; tap < s.size * s.size; tap++)
        into[tap] = load(weights + tap * s.filters, lanes);
}

INLINE void maps_of(shape s, int64_t lanes, const float *image, const float *weights,
                    const float *bias, float *maps) {
    const int64_t rows = s.height - s.size + 1, columns = s.width - s.size + 1;
    const vector zero = {0}, b = load(bias, lanes);
    vector w[MAX_SIZE * MAX_SIZE];
    load_weights(w, weights, s, lanes);
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < columns; j++) {
            vector sum = pixel(image + i * s.width + j, s.width, s.size, w, b);
            store(maps + (i * columns + j) * s.filters, where(sum <= zero, zero, sum), lanes);
        }
}

INLINE void pooled_of(shape s, int64_t lanes, const float *image, const float *weights,
                      const float *bias, float *pooled, uint8_t *winners) {
    const int64_t rows = (s.height - s.size + 1) / 2, columns = (s.width - s.size + 1) / 2;
    const vector zero = {0}, b = load(bias, lanes);
    vector w[MAX_SIZE * MAX_SIZE];
    load_weights(w, weights, s, lanes);
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < columns; j++) {
            const float *corner = image + 2 * i * s.width + 2 * j;
            vector best = pixel(corner, s.width, s.size, w, b);
            mask winner = {0};
            for (int32_t k = 1; k < 4; k++) {
                vector next = pixel(corner + (k / 2) * s.width + k % 2, s.width, s.size, w, b);
                mask same = next <= best;
                best = where(same, best, next);
                winner = (winner & same) | (k & ~same);
            }
            mask none = best <= zero;
            winner = (winner & ~none) | (NO_WINNER & none);
            bytes which = __builtin_convertvector(winner, bytes);
            store(pooled + (i * columns + j) * s.filters, where(none, zero, best), lanes);
            memcpy(winners + (i * columns + j) * s.filters, &which, (size_t)lanes);
        }
}

INLINE void add_gradients(vector *sums, int64_t size, const float *image, int64_t width,
                          vector gradient) {
    for (int64_t u = 0; u < size; u++)
        for (int64_t v = 0; v < size; v++) sums[u * size + v] += image[u * width + v] * gradient;
}

INLINE void maps_gradients(shape s, int64_t lanes, const float *image, const float *maps,
                           const float *gradients, vector *sums) {
    const int64_t rows = s.height - s.size + 1, columns = s.width - s.size + 1;
    const vector zero = {0};
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < columns; j++) {
            const int64_t at = (i * columns + j) * s.filters;
            vector g = load(gradients + at, lanes);
            g = where(load(maps + at, lanes) <= zero, zero, g);
            add_gradients(sums, s.size, image + i * s.width + j, s.width, g);
            sums[s.size * s.size] += g;
        }
}

INLINE void pooled_gradients(shape s, int64_t lanes, const float *image, const uint8_t *winners,
                             const float *gradients, vector *sums) {
    const int64_t rows = (s.height - s.size + 1) / 2, columns = (s.width - s.size + 1) / 2;
    const vector zero = {0};
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < columns; j++) {
            const int64_t at = (i * columns + j) * s.filters;
            const float *corner = image + 2 * i * s.width + 2 * j;
            bytes which = {0};
            memcpy(&which, winners + at, (size_t)lanes);
            const mask winner = __builtin_convertvector(which, mask);
            const vector all = load(gradients + at, lanes);
            for (int32_t k = 0; k < 4; k++) {
                vector g = where(winner == k, all, zero);
                add_gradients(sums, s.size, corner + (k / 2) * s.width + k % 2, s.width, g);
                sums[s.size * s.size] += g;
            }
        }
}

/* Run `block(s, lanes, first)` for each LANES filters from `first` on. 3x3 kernels of a full vector
 * are compiled for themselves: their loops unroll, and their weights stay in registers. */
#define EACH_BLOCK(block)                                            \
    for (int64_t first = 0; first < s.filters; first += LANES) {     \
        const int64_t lanes = smaller(LANES, s.filters - first);     \
        if (s.size == 3 && lanes == LANES) {                         \
            const shape s3 = {s.n, s.height, s.width, 3, s.filters}; \
            block(s3, LANES, first);                                 \
        } else {                                                     \
            block(s, lanes, first);                                  \
        }                                                            \
    }

EXPORT void conv_relu(const float *images, const float *weights, const float *bias, float *maps,
                      int64_t n, int64_t height, int64_t width, int64_t size, int64_t filters,
                      int threads) {
    const shape s = {n, height, width, size, filters};
    const int64_t area = (height - size + 1) * (width - size + 1) * filters;
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
    const shape s = {n, height, width, size, filters};
    const int64_t area = ((height - size + 1) / 2) * ((width - size + 1) / 2) * filters;
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
    const shape s = {n, height, width, size, filters};
    const int64_t area = (height - size + 1) * (width - size + 1) * filters;
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
    const shape s = {n, height, width, size, filters};
    const int64_t area = ((height - size + 1) / 2) * ((width - size + 1) / 2) * filters;
    const int64_t taps = size * size + 1, chunks = (n + CHUNK - 1) / CHUNK;
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t chunk = 0; chunk < chunks; chunk++) {
#define BLOCK(s, lanes, first) SUM_BLOCK(pooled_gradients, winners, s, lanes, first)
        EACH_BLOCK(BLOCK)
#undef BLOCK
    }
}

/* Philox4x32-10, the counter-based generator of Salmon et al., "Parallel random numbers: as easy
 * as 1, 2, 3" (SC 2011), for LANES counters at a time. */
INLINE void philox(uint32_t c[4][LANES], uint32_t key0, uint32_t key1) {
    for (int round = 0; round < 10; round++) {
        uint32_t high0[LANES], low0[LANES], high2[LANES], low2[LANES];
        for (int l = 0; l < LANES; l++) {
            const uint64_t product = (uint64_t)0xD2511F53u * c[0][l];
            high0[l] = (uint32_t)(product >> 32);
            low0[l] = (uint32_t)product;
        }
        for (int l = 0; l < LANES; l++) {
            const uint64_t product = (uint64_t)0xCD9E8D57u * c[2][l];
            high2[l] = (uint32_t)(product >> 32);
            low2[l] = (uint32_t)product;
        }
        for (int l = 0; l < LANES; l++) {
            c[0][l] = high2[l] ^ c[1][l] ^ key0;
            c[1][l] = low2[l];
            c[2][l] = high0[l] ^ c[3][l] ^ key1;
            c[3][l] = low0[l];
        }
        key0 += 0x9E3779B9u;
        key1 += 0xBB67AE85u;
    }
}

INLINE void keep(const float *from, float *to, mask dropped, float scale, int64_t lanes) {
    const vector zero = {0};
    store(to, where(dropped, zero, load(from, lanes) * scale), lanes);
}

/* Write `from` (count) to `to`, each value either times `scale` or, where its 16 random bits are
 * below `threshold`, as 0. Which it is depends on seed, draw and the value's index alone, so the
 * gradient goes the same way. Group g, of 128 values, uses the counters (16 g + k, 0, draw, 0)
 * for k from 0 to 15; value 16 q + k of the group, the 16 bits from 16 q on of block k. */
EXPORT void dropout(const float *from, float *to, int64_t count, uint32_t threshold, float scale,
                    uint32_t seed, uint32_t draw, int threads) {
    const int64_t blocks = (count + 8 * COUNTERS - 1) / (8 * COUNTERS) * (COUNTERS / LANES);
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t block = 0; block < blocks; block++) {
        const int64_t first = block * LANES; /* counter */
        const int64_t start = first / COUNTERS * 8 * COUNTERS + first % COUNTERS;
        uint32_t c[4][LANES];
        for (int l = 0; l < LANES; l++) {
            c[0][l] = (uint32_t)(first + l);
            c[1][l] = (uint32_t)((first + l) >> 32);
            c[2][l] = draw;
            c[3][l] = 0;
        }
        philox(c, seed, 0);
        for (int q = 0; q < 8; q++) {
            const int64_t at = start + q * COUNTERS;
            words bits;
            memcpy(&bits, c[q / 2], sizeof bits);
            const mask dropped = (mask)(((bits >> (16 * (q % 2))) & 0xFFFFu) < threshold);
            if (at + LANES <= count)
                keep(from + at, to + at, dropped, scale, LANES);
            else if (at < count)
                keep(from + at, to + at, dropped, scale, count - at);
        }
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
