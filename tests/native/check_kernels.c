/* Runs every kernel on heap arrays of exactly the promised sizes, for the sanitizers to watch. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define CHUNK 8
#define SHAPE int64_t n, int64_t height, int64_t width, int64_t size, int64_t filters, int threads

void conv_relu(const float *, const float *, const float *, float *, SHAPE);
void conv_relu_pool(const float *, const float *, const float *, float *, uint8_t *, SHAPE);
void conv_relu_gradients(const float *, const float *, const float *, float *, SHAPE);
void conv_relu_pool_gradients(const float *, const uint8_t *, const float *, float *, SHAPE);
void dropout(const float *, float *, int64_t, uint32_t, float, uint32_t, uint32_t, int);

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
    dropout(maps, gradients, area, 13107, 1.25f, 1, 2, threads);
    free(images), free(weights), free(bias), free(maps), free(pooled), free(gradients);
    free(partial), free(winners);
}

int main(void) {
    const int64_t batches[] = {1, 7, 8, 17}, filters[] = {1, 4, 5, 16, 33};
    for (int threads = 1; threads <= 3; threads++)
        for (int b = 0; b < 4; b++)
            for (int f = 0; f < 5; f++)
                for (int64_t size = 1; size <= 7; size += 2)
                    check(batches[b], size + 2, size + 5, size, filters[f], threads);
    puts("checked");
    return 0;
}
