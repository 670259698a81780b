/* Writes until the room the client asked for is used up. */
#include <serverkernel.h>

int main(void)
{
    for (;;)
        sk_io_write("a line of sixteen", 17);
}
