/* What the two files of the payload share. */
#include <stdint.h>

extern uint32_t shared;
uint32_t elsewhere(uint32_t a, uint32_t b);
