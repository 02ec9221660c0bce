/* topscreen.c - `preload top` on a terminal (ncurses): the same lines as --batch prints, as many as fit, and keys.
 *
 * Only the rows that are on the screen are explained in detail, so the number of threads costs little.
 */
#include "topscreen.h"
#include "topview.h"
#include <curses.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct screen {
	struct top *d;
	struct top_options *o;
	struct top_text text;
	size_t first; /* row on top */
	bool show_ps, help, paused, asking;
	double delay;
	char answer[64];
};

static const char *const help_lines[] = {
	"q  quit                     space  pause, go on        d  slower   D  faster",
	"c  sort by CPU              t  by CPU time             s  by switches   x  by migrations",
	"w  by time in its state     g  by number    n  by name    a  by state    r  reverse",
	"/  show only threads with this in name, state or reason (empty: all)",
	"p  P's on, off              m  kernel threads (M's) on, off",
	"arrows, page up and down, home: move in the list         h  this help on, off",
};

static int64_t now_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * NSEC_PER_SEC + ts.tv_nsec;
}

static int attribute(enum top_style s)
{
	switch (s) {
	case StyleTitle: return A_BOLD;
	case StyleHead: return A_REVERSE;
	case StyleBusy: return A_BOLD;
	default: return A_NORMAL;
	}
}

static void compose(struct screen *s)
{
	struct top_text *t = &s->text;
	size_t height = (size_t)LINES;
	top_view_clear(t);
	top_view_summary(t, s->d);
	top_view_add(t, StylePlain, "sorted by %s%s%s%s%s; every %.1f s; h for help", top_sort_names[s->o->sort],
		     s->o->reverse ? ", reversed" : "", s->o->filter[0] ? "; only " : "", s->o->filter,
		     s->paused ? "; PAUSED" : "", s->delay);
	if (s->help)
		for (size_t i = 0; i < nelem(help_lines); i++)
			top_view_add(t, StylePlain, "    %s", help_lines[i]);
	if (s->show_ps)
		top_view_ps(t, s->d);
	if (s->o->kernel_threads)
		top_view_ms(t, s->d);
	if (t->n + 2 > height)
		t->n = height > 2 ? height - 2 : 0;
	top_view_head(t, s->o);
	size_t room = height > t->n ? height - t->n : 0;
	if (s->first >= s->d->nrow)
		s->first = s->d->nrow ? s->d->nrow - 1 : 0;
	top_explain(s->d, s->first, room);
	top_view_rows(t, s->d, s->first, room);
}

static void draw(struct screen *s)
{
	compose(s);
	erase();
	for (size_t i = 0; i < s->text.n && i < (size_t)LINES; i++) {
		attrset(attribute(s->text.line[i].style));
		mvaddnstr((int)i, 0, s->text.line[i].text, COLS);
		if (s->text.line[i].style == StyleHead)
			for (int x = getcurx(stdscr); x < COLS && getcury(stdscr) == (int)i && x > 0; x++)
				addch(' ');
	}
	attrset(A_NORMAL);
	if (s->asking)
		mvprintw(LINES - 1, 0, "show only: %s", s->answer), clrtoeol();
	refresh();
}

static void ask_key(struct screen *s, int key)
{
	size_t n = strlen(s->answer);
	if (key == '\n' || key == KEY_ENTER) {
		snprintf(s->o->filter, sizeof(s->o->filter), "%s", s->answer);
		s->asking = false;
		s->first = 0;
	} else if (key == 27) {
		s->asking = false;
	} else if ((key == KEY_BACKSPACE || key == 127 || key == 8) && n) {
		s->answer[n - 1] = 0;
	} else if (key >= 32 && key < 256 && n + 1 < sizeof(s->answer)) {
		s->answer[n] = (char)key;
		s->answer[n + 1] = 0;
	}
}

static void move_list(struct screen *s, long by)
{
	long at = (long)s->first + by;
	s->first = at < 0 ? 0 : (size_t)at;
}

static bool sort_key(struct screen *s, int key)
{
	static const char keys[] = "ctsxwgna"; /* in the order of enum top_sort */
	const char *p = key > 0 && key < 128 ? strchr(keys, key) : NULL;
	if (!p)
		return false;
	s->o->sort = (enum top_sort)(p - keys);
	s->first = 0;
	return true;
}

/* False: the end. */
static bool handle(struct screen *s, int key)
{
	long page = LINES - 8 > 1 ? LINES - 8 : 1;
	if (s->asking) {
		ask_key(s, key);
		return true;
	}
	if (sort_key(s, key))
		return true;
	switch (key) {
	case 'q': case 'Q': case 3: return false;
	case ' ': s->paused = !s->paused; break;
	case 'r': s->o->reverse = !s->o->reverse; break;
	case 'p': s->show_ps = !s->show_ps; break;
	case 'm': s->o->kernel_threads = !s->o->kernel_threads; break;
	case 'h': case '?': s->help = !s->help; break;
	case 'd': s->delay = s->delay < 30 ? s->delay * 2 : 60; break;
	case 'D': s->delay = s->delay > 0.2 ? s->delay / 2 : 0.1; break;
	case '/': s->asking = true; s->answer[0] = 0; break;
	case KEY_UP: move_list(s, -1); break;
	case KEY_DOWN: move_list(s, 1); break;
	case KEY_PPAGE: move_list(s, -page); break;
	case KEY_NPAGE: move_list(s, page); break;
	case KEY_HOME: s->first = 0; break;
	default: break;
	}
	return true;
}

/* Keys until it is time for the next look; false: the end. */
static bool keys_until(struct screen *s, int64_t end)
{
	for (;;) {
		int64_t left = end - now_ns();
		if (left <= 0 && !s->paused)
			return true;
		timeout(s->paused ? 1000 : (int)(left / NSEC_PER_MSEC) + 1);
		int key = getch();
		if (key == ERR)
			continue;
		if (!handle(s, key))
			return false;
		if (key != KEY_RESIZE && !top_arrange(s->d, s->o))
			return false;
		draw(s);
	}
}

bool top_screen(struct top *d, struct top_options *o, double delay, long times, const char **why)
{
	struct screen s = { .d = d, .o = o, .show_ps = d->np <= 16, .delay = delay };
	bool there = true;
	setlocale(LC_ALL, "");
	setenv("ESCDELAY", "50", 0);
	SCREEN *term = newterm(NULL, stdout, stdin);
	if (!term) {
		*why = "this terminal is of no type that is known (TERM); use --batch";
		return true;
	}
	cbreak();
	noecho();
	keypad(stdscr, TRUE);
	curs_set(0);
	int64_t next = now_ns();
	for (long i = 0; times < 0 || i < times; i++) {
		there = i == 0 || top_look(d, o);
		if (!there)
			break;
		draw(&s);
		/* The first figures are those since the process began: replace them soon. */
		next = now_ns() + (int64_t)((i == 0 && s.delay > 0.5 ? 0.5 : s.delay) * NSEC_PER_SEC);
		if (!keys_until(&s, next))
			break;
	}
	endwin();
	delscreen(term);
	free(s.text.line);
	return there;
}
