/* Runs every kernel on heap arrays of exactly the promised sizes, for the sanitizers to watch. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define CHUNK 8
#define PARTS 16
#define SHAPE int64_t n, int64_t height, int64_t width, int64_t size, int64_t filters, int threads
#define WITH_DENSE                                                                      \
    int64_t n, int64_t height, int64_t width, int64_t size, int64_t filters, int64_t pool, \
        int64_t units, uint32_t threshold, float scale, uint32_t seed, uint32_t draw, \
        int64_t first, int64_t whole, int threads

void conv_relu(const float *, const float *, const float *, float *, SHAPE);
void conv_relu_pool(const float *, const float *, const float *, float *, uint8_t *, SHAPE);
void conv_relu_gradients(const float *, const float *, const float *, float *, SHAPE);
void conv_relu_pool_gradients(const float *, const uint8_t *, const float *, float *, SHAPE);
void find_active(const float *, const float *, uint8_t *, int64_t, int64_t, int64_t, int64_t,
                 int64_t, int);
void conv_dense(const float *, const float *, const float *, const float *, const float *,
                const uint8_t *, float *, WITH_DENSE);
void conv_dense_gradients(const float *, const float *, const float *, const float *, const float *,
                          const uint8_t *, const float *, const float *, float *, float *,
                          WITH_DENSE);
void dropout(const float *, float *, int64_t, uint32_t, float, uint32_t, uint32_t, int64_t, int);

void multiply_zeros(const float *, const float *, float *, int64_t, int64_t, int64_t, int64_t,
                    int64_t, int);

void convolve(const float *, const float *, const float *, float *, float *, int64_t, int64_t,
              int64_t, int64_t, int64_t, int64_t, int64_t, int);
void convolve_of_maps(const float *, const float *, float *, float *, float *, int64_t, int64_t,
                      int64_t, int64_t, int64_t, int64_t, int64_t, int);
void convolve_of_kernel(const float *, const float *, float *, int64_t, int64_t, int64_t, int64_t,
                        int64_t, int64_t, int64_t, int);
void normalize(const float *, const float *, const float *, float *, uint8_t *, float *, float *,
               int64_t, int64_t, int64_t, int64_t, int64_t, float, int);
void normalize_gradients(const float *, const float *, const uint8_t *, const float *, float *,
                         float *, float *, float *, float *, int64_t, int64_t, int64_t, int64_t,
                         int64_t, int);

typedef struct {
    uint32_t threshold, seed, draw;
    float scale;
    int64_t first, whole;
} drop;

int dense_loss(const float *, const int64_t *, int64_t, int64_t, int64_t, const int64_t *,
               const float *const *, const float *const *, const drop *, float *const *,
               float *const *, float *const *, float *const *, float *, float *, int);

static float *floats(int64_t count) {
    float *made = malloc(4 * (size_t)count);
    for (int64_t i = 0; i < count; i++) made[i] = (float)(rand() % 200 - 100);
    return made;
}

static void check(SHAPE) {
    const int64_t rows = height - size + 1, columns = width - size + 1;
    const int64_t chunks = (n + CHUNK - 1) / CHUNK, area = n * rows * columns * filters;
    const int64_t pool = n * (rows / 2) * (columns / 2) * filters;
    float *images = floats(n * height * width), *weights = floats(size * size * filters);
    float *bias = floats(filters), *maps = floats(area), *pooled = floats(pool);
    float *gradients = floats(area), *partial = floats(chunks * (size * size + 1) * filters);
    uint8_t *winners = malloc((size_t)pool);
    conv_relu(images, weights, bias, maps, n, height, width, size, filters, threads);
    conv_relu_gradients(images, maps, gradients, partial, n, height, width, size, filters,
                        threads);
    conv_relu_pool(images, weights, bias, pooled, winners, n, height, width, size, filters,
                   threads);
    conv_relu_pool_gradients(images, winners, gradients, partial, n, height, width, size, filters,
                             threads);
    dropout(maps, gradients, area, 13107, 1.25f, 1, 2, 37 * n, threads);
    free(images), free(weights), free(bias), free(maps), free(pooled), free(gradients);
    free(partial), free(winners);
}

static void check_dense(WITH_DENSE) {
    const int64_t rows = (height - size + 1) >> pool, columns = (width - size + 1) >> pool;
    const int64_t values = rows * columns * filters;
    float *images = floats(n * height * width), *flat = floats(height * width);
    float *weights = floats(size * size * filters), *bias = floats(filters);
    float *dense = floats(values * units), *dense_gradients = floats(values * units);
    float *outputs = floats(PARTS * (n + 1) * units), *gradients = floats(n * units);
    float *summed = floats(units), *partial = floats(PARTS * (size * size + 1) * filters);
    uint8_t *active = malloc((size_t)(n * rows * columns));
    for (int64_t i = 0; i < height * width; i++) flat[i] = 0;
    for (int64_t i = 0; i < n * height * width; i++) images[i] *= rand() % 9 == 0;
    find_active(images, flat, active, n, height, width, size, pool, threads);
    conv_dense(images, flat, weights, bias, dense, active, outputs, n, height, width, size, filters,
               pool, units, threshold, scale, seed, draw, first, whole, threads);
    conv_dense_gradients(images, flat, weights, bias, dense, active, gradients, summed,
                         dense_gradients, partial, n, height, width, size, filters, pool, units,
                         threshold, scale, seed, draw, first, whole, threads);
    free(images), free(flat), free(weights), free(bias), free(dense), free(dense_gradients);
    free(outputs), free(gradients), free(summed), free(partial), free(active);
}

static void check_product(int64_t rows, int64_t count, int64_t columns, int threads) {
    float *left = floats(rows * count), *right = floats(count * columns);
    float *product = floats(rows * columns);
    for (int64_t i = 0; i < rows * count; i++) left[i] *= rand() % 3 == 0;
    multiply_zeros(left, right, product, rows, count, columns, count, 1, threads);
    multiply_zeros(left, right, product, rows, count, columns, 1, rows, threads);
    free(left), free(right), free(product);
}

static void check_loss(int64_t n, int64_t inputs, int64_t hidden, int64_t classes, int given,
                       int threads) {
    const int64_t sizes[] = {inputs, hidden, hidden + 3, classes};
    const drop drops[] = {{0, 0, 0, 1, 0, 0}, {30000, 1, 2, 1.5f, 3, n + 5}};
    float *x = floats(n * (given ? hidden : inputs)), measured[2];
    float *weights[3], *bias[3], *values[3], *gradients[3], *of_weights[3], *of_bias[3];
    float *scratch = floats((hidden + 3) * (hidden > classes ? hidden : classes));
    int64_t *labels = malloc(8 * (size_t)n);
    for (int64_t k = 0; k < n; k++) labels[k] = k % classes;
    for (int i = 0; i < 3; i++) {
        const int none = given && i == 0;
        weights[i] = none ? NULL : floats(sizes[i] * sizes[i + 1]);
        of_weights[i] = none ? NULL : floats(sizes[i] * sizes[i + 1]);
        bias[i] = floats(sizes[i + 1]), of_bias[i] = floats(sizes[i + 1]);
        values[i] = floats(n * sizes[i + 1]), gradients[i] = floats(n * sizes[i + 1]);
    }
    const float *const kept[] = {weights[0], weights[1], weights[2]};
    const float *const kept_bias[] = {bias[0], bias[1], bias[2]};
    for (int wrong = 0; wrong < 2; wrong++) {
        labels[n - 1] = wrong ? classes : 0;
        if (dense_loss(x, labels, n, n + 5, 3, sizes, kept, kept_bias, drops, values, gradients,
                       of_weights, of_bias, scratch, measured, threads) != wrong)
            puts("a label that is none was not told from one"), exit(1);
    }
    for (int i = 0; i < 3; i++) {
        free(weights[i]), free(of_weights[i]), free(bias[i]), free(of_bias[i]);
        free(values[i]), free(gradients[i]);
    }
    free(x), free(scratch), free(labels);
}

static void check_small(int64_t n, int64_t size, int64_t channels, int64_t filters,
                        int64_t padding, int threads) {
    const int64_t height = size + 2, width = size + n % 12, more = 2 * padding - size + 1;
    const int64_t rows = height + more, columns = width + more, wide = width + 2 * padding;
    const int64_t back = columns + 2 * (size - 1 - padding), weights = size * size * channels;
    float *maps = floats(n * height * width * channels), *kernel = floats(weights * filters);
    float *bias = floats(filters), *outputs = floats(n * rows * columns * filters);
    float *padded = floats(padding ? PARTS * height * wide * channels : 0);
    float *of_maps = floats(n * height * width * channels), *of_kernel = floats(weights * filters);
    float *turned = floats(weights * filters);
    float *padded_back = floats(size - 1 - padding ? PARTS * rows * back * filters : 0);
    convolve(maps, kernel, n % 2 ? bias : 0, outputs, padded, n, height, width, channels, size,
             filters, padding, threads);
    convolve_of_maps(kernel, outputs, of_maps, turned, padded_back, n, height, width, channels,
                     size, filters, padding, threads);
    convolve_of_kernel(maps, outputs, of_kernel, n, height, width, channels, size, filters,
                       padding, threads);
    free(maps), free(kernel), free(bias), free(outputs), free(padded), free(of_maps);
    free(of_kernel), free(turned), free(padded_back);
}

static void check_normalized(int64_t n, int64_t height, int64_t width, int64_t filters,
                             int64_t pool, int threads) {
    const int64_t area = n * height * width * filters;
    const int64_t left = n * (height >> pool) * (width >> pool) * filters;
    float *maps = floats(area), *of_maps = floats(area), *outputs = floats(left);
    float *gradients = floats(left), *scale = floats(filters), *offset = floats(filters);
    float *measured = floats(9 * filters), *sums = floats(2 * PARTS * filters);
    uint8_t *winners = malloc(pool ? (size_t)left : 0);
    normalize(maps, scale, offset, outputs, winners, measured, sums, n, height, width, filters,
              pool, 1e-3f, threads);
    normalize_gradients(maps, outputs, winners, gradients, measured, scale, offset, of_maps, sums,
                        n, height, width, filters, pool, threads);
    free(maps), free(of_maps), free(outputs), free(gradients), free(scale), free(offset);
    free(measured), free(sums), free(winners);
}

int main(void) {
    const int64_t batches[] = {1, 7, 8, 17}, filters[] = {1, 4, 5, 16, 33};
    for (int threads = 1; threads <= 3; threads++)
        for (int b = 0; b < 4; b++)
            for (int f = 0; f < 5; f++)
                for (int64_t size = 1; size <= 7; size += 2)
                    check(batches[b], size + 2, size + 5, size, filters[f], threads);
    for (int threads = 1; threads <= 3; threads++)
        for (int b = 0; b < 4; b++)
            for (int64_t size = 1; size <= 7; size += 2)
                for (int64_t pool = 0; pool <= 1; pool++)
                    check_dense(batches[b] + 64 * (b % 2), size + 2, size + 5, size, 16 * (b + 1),
                                pool, 48 * (b % 2) + 16 * b + 16, 20000 * (b / 2), 1.4f, 5, 6,
                                5 * size, 200, threads);
    for (int threads = 1; threads <= 3; threads++)
        for (int64_t columns = 2; columns < 150; columns += 7) {
            check_product(33 + columns % 40, 2 * columns - 1, columns, threads);
            check_loss(columns, 3 * columns, 70 - columns / 3, 1 + columns % 12, columns % 2,
                       threads);
        }
    for (int threads = 1; threads <= 3; threads++)
        for (int b = 0; b < 4; b++)
            for (int64_t size = 1; size <= 5; size += 2) {
                for (int64_t padding = 0; padding < size; padding++)
                    check_small(batches[b], size, 16 + 16 * (b % 2), 16 + 16 * (b / 2), padding,
                                threads);
                for (int64_t pool = 0; pool <= 1; pool++)
                    check_normalized(batches[b], size + 1, size + b, filters[b + 1], pool, threads);
            }
    check_dense(2, 5, 5, 3, 64, 0, 1024, 0, 1, 0, 0, 0, 2, 2);
    puts("checked");
    return 0;
}
