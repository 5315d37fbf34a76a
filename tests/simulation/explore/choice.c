/* Choices as the digits of a number that counts up, each digit with a base of
 * its own: the last one that can be raised is, and those behind it vanish. */
#include "explore.h"

#define CHOICES_MAX 256

static struct {
	unsigned short value, of;
} made[CHOICES_MAX];
static unsigned at, count;

BOOK unsigned choose(unsigned n)
{
	pb_assert(n && at < CHOICES_MAX);
	if (at == count) {
		made[count].value = 0;
		made[count++].of = (unsigned short)n;
	}
	if (!made[at].of)
		made[at].of = (unsigned short)n;
	pb_assert(made[at].of == n); /* else: a schedule is not the same twice */
	return made[at++].value;
}

bool choices_next(void)
{
	pb_assert(at == count);
	while (count && made[count - 1].value + 1 >= made[count - 1].of)
		count--;
	at = 0;
	if (!count)
		return false;
	made[count - 1].value++;
	return true;
}

void choices_begin(const int *given)
{
	at = count = 0;
	for (; given && *given >= 0; given++) {
		made[count].value = (unsigned short)*given;
		made[count++].of = 0;
	}
}

void choices_print(FILE *to)
{
	for (unsigned i = 0; i < at; i++)
		fprintf(to, "%s%u", i ? "," : "", made[i].value);
}
