/* topview.h - the text of `preload top`: lines, for the screen and for --batch alike.
 */
#ifndef PRELOOM_TOPVIEW_H
#define PRELOOM_TOPVIEW_H

#include "topdata.h"

enum top_style { StylePlain, StyleTitle, StyleHead, StyleBusy };

struct top_line {
	char text[320];
	enum top_style style;
};

struct top_text {
	struct top_line *line;
	size_t n, room;
};

void top_view_summary(struct top_text *t, const struct top *d);
void top_view_ps(struct top_text *t, const struct top *d);
void top_view_ms(struct top_text *t, const struct top *d);
void top_view_head(struct top_text *t, const struct top_options *o);
void top_view_rows(struct top_text *t, const struct top *d, size_t from, size_t n);
void top_view_clear(struct top_text *t);
void top_view_add(struct top_text *t, enum top_style style, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#endif
