/*
 * Runs an exported network on the file "images" (784 bytes each) and writes to the file "answers",
 * for each image, struct record below: on this computer, or in an emulator whose semihosting lets
 * the program read and write files of the computer around it.
 */
#include <stdint.h>
#include <stdio.h>

#include "chiffres_model.h"

struct record {
    chiffres_result result;
    uint32_t ticks; /* of the target's counter, for one inference */
    uint32_t stack; /* bytes */
};

#if defined(__ARM_ARCH_6M__)

/* The timer of the nRF51, the emulated Cortex-M0, whose SysTick does not run: 16 MHz, 32 bits. */
#define TIMER(offset) (*(volatile uint32_t *)(0x40008000u + (offset)))
#define START TIMER(0x000)
#define CAPTURE TIMER(0x040)
#define BITS TIMER(0x508)
#define PRESCALER TIMER(0x510)
#define CAPTURED TIMER(0x540)

static uint32_t now(void)
{
    if (BITS != 3) {
        BITS = 3; /* 32 */
        PRESCALER = 0;
        START = 1;
    }
    CAPTURE = 1;
    return CAPTURED;
}

#define ELAPSED(start) (now() - (start))
#define STACK_POINTER(pointer) __asm__ volatile("mov %0, sp" : "=r"(pointer))

#elif defined(__arm__)

/* SysTick counts down from 2^24 - 1; the emulator lets it tick once in so many instructions. */
#define CONTROL (*(volatile uint32_t *)0xE000E010u)
#define RELOAD (*(volatile uint32_t *)0xE000E014u)
#define COUNT (*(volatile uint32_t *)0xE000E018u)
#define FULL 0xFFFFFFu

static uint32_t now(void)
{
    if (CONTROL == 0) {
        RELOAD = FULL;
        COUNT = 0;
        CONTROL = 5; /* on, with the processor's clock, without an interrupt */
        while (COUNT == 0)
            continue;
    }
    return FULL - COUNT;
}

#define ELAPSED(start) ((now() - (start)) & FULL)
#define STACK_POINTER(pointer) __asm__ volatile("mov %0, sp" : "=r"(pointer))

#elif defined(__riscv)

/* minstret, by its number: an assembler without Zicsr does not know its name. */
static uint32_t now(void)
{
    uint32_t count;

    __asm__ volatile(".option push\n.option arch, +zicsr\ncsrr %0, 0xB02\n.option pop"
                     : "=r"(count));
    return count;
}

#define ELAPSED(start) (now() - (start))
#define STACK_POINTER(pointer) __asm__ volatile("mv %0, sp" : "=r"(pointer))

#endif

#if defined(STACK_POINTER)

enum { PAINTED = 2048, COLOUR = 0xA5 };

static void measure(const uint8_t *image, struct record *record)
{
    uint8_t *top, *lowest;
    uint32_t start;

    STACK_POINTER(top);
    for (lowest = top - PAINTED; lowest < top; lowest++)
        *(volatile uint8_t *)lowest = COLOUR;
    start = now();
    chiffres_classify(image, &record->result);
    record->ticks = ELAPSED(start);
    lowest = top - PAINTED;
    while (*(volatile uint8_t *)lowest == COLOUR)
        lowest++;
    record->stack = (uint32_t)(top - lowest);
}

#else

static void measure(const uint8_t *image, struct record *record)
{
    chiffres_classify(image, &record->result);
    record->ticks = record->stack = 0;
}

#endif

int main(void)
{
    static uint8_t image[784];
    static struct record record;
    FILE *images = fopen("images", "rb"), *answers = fopen("answers", "wb");

    if (!images || !answers)
        return 1;
    while (fread(image, sizeof image, 1, images) == 1) {
        measure(image, &record);
        if (fwrite(&record, sizeof record, 1, answers) != 1)
            return 1;
    }
    return fclose(answers) != 0;
}
