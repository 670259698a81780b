/* The second file: what it shares with the first goes through the GOT. */
#include "position.h"

uint32_t shared = 40;

uint32_t elsewhere(uint32_t a, uint32_t b)
{
    return a * 2654435761u + b + shared;
}
