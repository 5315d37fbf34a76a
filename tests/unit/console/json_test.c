/* modules/console/json.c: answers of commands as JSON. */
#include "../../support/test.h"

#include "console/json.h"

static void same(const char *line, const char *text, bool ok, bool is_status, const char *want)
{
	struct pb_text t;

	pb_text_init(&t, 1u << 16);
	console_json(&t, pb_str_z(line), pb_str_z(text), ok, is_status);
	PB_SAME(pb_text_str(&t), want);
	pb_text_fini(&t);
}

static void takes(void)
{
	struct pb_str s = PB_STR("status sip --json");

	CU_ASSERT(console_json_take(&s));
	PB_SAME(s, "status sip");
	CU_ASSERT(!console_json_take(&s));
	s = PB_STR("--json");
	CU_ASSERT(!console_json_take(&s));
	s = PB_STR("a--json");
	CU_ASSERT(!console_json_take(&s));
}

static void lines(void)
{
	same("x", "", true, false, "{\"command\":\"x\",\"ok\":true,\"text\":[]}\r\n");
	same("x", "a\r\n\r\n\"b\"\r\n", false, false,
	     "{\"command\":\"x\",\"ok\":false,\"text\":[\"a\",\"\",\"\\\"b\\\"\"]}\r\n");
	same("x", "[1]", true, false, "[1]\r\n");
	same("x", "{\"a\":1}\r\n", true, false, "{\"a\":1}\r\n");
}

#define STATUS "{\"command\":\"status\",\"ok\":true,\"status\":["

static void status(void)
{
	same("status", "name=a,type=b\r\n", true, true,
	     STATUS "{\"name\":\"a\",\"type\":\"b\",\"counts\":{},\"items\":[]}]}\r\n");
	same("status", "name=a,type=b;n=1,neg=-1,big=99999999999999999999,zero=007,yes=true\r\n", true, true,
	     STATUS "{\"name\":\"a\",\"type\":\"b\",\"counts\":{\"n\":1,\"neg\":\"-1\",\"big\":\"99999999999999999999\","
		    "\"zero\":\"007\",\"yes\":true},\"items\":[]}]}\r\n");
	same("status", "name=a,type=b,format=X|Y;n=1;one=1|2,two=|,three,=\r\nname=c;;\r\n", true, true,
	     STATUS "{\"name\":\"a\",\"type\":\"b\",\"format\":\"X|Y\",\"counts\":{\"n\":1},\"items\":["
		    "{\"id\":\"one\",\"X\":\"1\",\"Y\":\"2\"},{\"id\":\"two\",\"X\":\"\",\"Y\":\"\"},"
		    "{\"id\":\"three\",\"X\":\"\"}]},"
		    "{\"name\":\"c\",\"counts\":{},\"items\":[]}]}\r\n");
	/* Broken ones give JSON all the same. */
	same("status", "=;=;=\r\n,,,;;;", true, true,
	     STATUS "{\"counts\":{},\"items\":[]},{\"counts\":{},\"items\":[{\"id\":\";\",\"value\":\"\"}]}]}\r\n");
}

PB_TESTS("console/json", { "takes the word", takes }, { "lines", lines }, { "status", status })
