/* Does nothing for ever. The kernel ends it at its deadline. */
#include <serverkernel.h>

int main(void)
{
    for (;;)
        ;
}
