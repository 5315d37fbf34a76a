/* Appending to a buffer that either grows (heap) or does not (fixed). */
#include "base/text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/alloc.h"

void pb_text_init_buf(struct pb_text *t, char *p, size_t size)
{
	*t = (struct pb_text){ .p = p, .size = size, .limit = size };
}

void pb_text_init(struct pb_text *t, size_t limit_bytes)
{
	*t = (struct pb_text){ .limit = limit_bytes, .heap = true };
}

void pb_text_fini(struct pb_text *t)
{
	if (t->heap)
		pb_free(t->p);
	*t = (struct pb_text){ 0 };
}

void pb_text_reset(struct pb_text *t)
{
	t->n = 0;
	t->failed = false;
}

/* Room for `n` more bytes, or the text has failed. */
static bool reserve(struct pb_text *t, size_t n)
{
	size_t want, size;
	char *p;

	if (t->failed)
		return false;
	if (n <= t->size - t->n)
		return true;
	want = t->n + n;
	if (!t->heap || want > t->limit || want < n)
		goto fail;
	size = t->size ? t->size * 2 : 256;
	if (size < want)
		size = want;
	if (size > t->limit)
		size = t->limit;
	p = pb_alloc_grow(t->p, size);
	if (!p)
		goto fail;
	t->p = p;
	t->size = size;
	return true;

fail:
	t->failed = true;
	return false;
}

void pb_text_add(struct pb_text *t, struct pb_str s)
{
	if (!s.n || !reserve(t, s.n))
		return;
	memcpy(t->p + t->n, s.p, s.n);
	t->n += s.n;
}

void pb_text_addc(struct pb_text *t, char c)
{
	if (reserve(t, 1))
		t->p[t->n++] = c;
}

void pb_text_addu(struct pb_text *t, uint64_t v)
{
	char d[20];
	size_t i = sizeof(d);

	do {
		d[--i] = (char)('0' + v % 10);
		v /= 10;
	} while (v);
	pb_text_add(t, pb_str(d + i, sizeof(d) - i));
}

void pb_text_addi(struct pb_text *t, int64_t v)
{
	if (v < 0)
		pb_text_addc(t, '-');
	pb_text_addu(t, v < 0 ? 0 - (uint64_t)v : (uint64_t)v);
}

void pb_text_addv(struct pb_text *t, const char *fmt, va_list args)
{
	char small[256];
	va_list again;
	int n;

	va_copy(again, args);
	n = vsnprintf(small, sizeof(small), fmt, args);
	if (n < 0 || (size_t)n < sizeof(small)) {
		pb_text_add(t, pb_str(small, n < 0 ? 0 : (size_t)n));
	} else if (reserve(t, (size_t)n + 1)) { /* vsnprintf wants room for its NUL */
		vsnprintf(t->p + t->n, (size_t)n + 1, fmt, again);
		t->n += (size_t)n;
	}
	va_end(again);
}

void pb_text_addf(struct pb_text *t, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	pb_text_addv(t, fmt, ap);
	va_end(ap);
}

void pb_text_add_hex(struct pb_text *t, const void *p, size_t n)
{
	static const char digits[] = "0123456789abcdef";
	const unsigned char *u = p;

	if (!reserve(t, n * 2))
		return;
	for (size_t i = 0; i < n; i++) {
		t->p[t->n++] = digits[u[i] >> 4];
		t->p[t->n++] = digits[u[i] & 15];
	}
}

static bool is_separator(unsigned char c)
{
	return c <= ' ' || c == 0x7f || strchr("%,;|+?&", c);
}

struct pb_str pb_percent(struct pb_arena *into, struct pb_str s)
{
	char *p = pb_arena_bytes(into, 3 * s.n + 1);
	struct pb_text t;

	if (!p)
		return PB_STR_NULL;
	pb_text_init_buf(&t, p, 3 * s.n + 1);
	for (size_t i = 0; i < s.n; i++) {
		if (is_separator((unsigned char)s.p[i]))
			pb_text_addf(&t, "%%%02X", (unsigned char)s.p[i]);
		else
			pb_text_addc(&t, s.p[i]);
	}
	return pb_text_str(&t);
}

static const char base64_digits[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void pb_text_add_base64(struct pb_text *t, const void *p, size_t n)
{
	const unsigned char *u = p;

	if (!reserve(t, (n + 2) / 3 * 4))
		return;
	for (size_t i = 0; i < n; i += 3) {
		size_t left = n - i;
		uint32_t v = (uint32_t)u[i] << 16 | (left > 1 ? (uint32_t)u[i + 1] << 8 : 0) |
			     (left > 2 ? u[i + 2] : 0);

		t->p[t->n++] = base64_digits[v >> 18];
		t->p[t->n++] = base64_digits[v >> 12 & 63];
		t->p[t->n++] = left > 1 ? base64_digits[v >> 6 & 63] : '=';
		t->p[t->n++] = left > 2 ? base64_digits[v & 63] : '=';
	}
}

/** Octets of the UTF-8 character at the start of `s` (RFC 3629); 0: none is there. */
static size_t utf8_length(struct pb_str s)
{
	const unsigned char *p = (const unsigned char *)s.p;
	size_t n = p[0] < 0x80 ? 1 : p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : p[0] < 0xf5 ? 4 : 0;

	if (n == 0 || n > s.n)
		return 0;
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	}
	if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) || (p[0] == 0xf0 && p[1] < 0x90) ||
	    (p[0] == 0xf4 && p[1] > 0x8f))
		return 0;
	return n;
}

void pb_text_add_json(struct pb_text *t, struct pb_str s)
{
	pb_text_addc(t, '"');
	while (s.n) {
		unsigned char c = (unsigned char)s.p[0];
		size_t n = utf8_length(s);

		if (c == '"' || c == '\\')
			pb_text_addf(t, "\\%c", c);
		else if (c < 0x20 || c == 0x7f)
			pb_text_addf(t, "\\u%04x", c);
		else if (n == 0)
			pb_text_lit(t, "\\ufffd");
		else
			pb_text_add(t, pb_str_head(s, n));
		s = pb_str_from(s, n ? n : 1);
	}
	pb_text_addc(t, '"');
}

static int base64_value(char c)
{
	const char *at = c ? strchr(base64_digits, c) : NULL;

	return at ? (int)(at - base64_digits) : -1;
}

ptrdiff_t pb_base64_decode(struct pb_str s, unsigned char *out)
{
	unsigned char *o = out;
	uint32_t v = 0;
	unsigned bits = 0;

	for (int pad = 0; pad < 2 && s.n && s.p[s.n - 1] == '='; pad++)
		s.n--;
	if (s.n % 4 == 1)
		return -EINVAL;
	for (size_t i = 0; i < s.n; i++) {
		int d = base64_value(s.p[i]);

		if (d < 0)
			return -EINVAL;
		v = v << 6 | (uint32_t)d;
		bits += 6;
		if (bits >= 8) {
			bits -= 8;
			*o++ = (unsigned char)(v >> bits);
		}
	}
	return o - out;
}

static int hex_value(char c)
{
	if (pb_is_digit(c))
		return c - '0';
	c = pb_to_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

ptrdiff_t pb_hex_decode(struct pb_str s, unsigned char *out)
{
	if (s.n % 2)
		return -EINVAL;
	for (size_t i = 0; i < s.n; i += 2) {
		int hi = hex_value(s.p[i]), lo = hex_value(s.p[i + 1]);

		if (hi < 0 || lo < 0)
			return -EINVAL;
		out[i / 2] = (unsigned char)(hi << 4 | lo);
	}
	return (ptrdiff_t)(s.n / 2);
}
