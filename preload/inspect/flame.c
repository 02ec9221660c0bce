/* flame.c - a profile as a flame graph: one SVG file that needs nothing else.
 *
 * Width is what a call costs, height is depth, the outermost call lies at the bottom. Without scripts it is a picture with
 * titles; with them a click enlarges a call, and a search marks the calls that match and says how much they are in all. Each
 * call is a <g> with its left edge and width as fractions, from which the script lays out anew.
 */
#include "proftree.h"
#include <string.h>

#define WIDTH 1200.0
#define ROW 17
#define TOP 64
#define BOTTOM 28
#define LEAST (0.2 / WIDTH) /* narrower calls are left out */
#define CHAR_WIDTH 6.6
#define MAX_DEPTH 512

static const char style[] =
	"text{font:11px ui-monospace,Menlo,Consolas,monospace;fill:#1b1b1b;pointer-events:none}"
	".t{font-size:16px;font-weight:600}.s{font-size:12px;fill:#555}.b{pointer-events:all;cursor:pointer;fill:#0b57d0}"
	"g.f{cursor:pointer}g.f:hover rect{stroke:#000}g.d{opacity:.45}g.m rect{fill:#c05be8}";

/* l, w: fractions of the whole; d: depth. The view is [vl, vl + vw). */
static const char script[] =
	"(function(){\n"
	"var svg=document.documentElement,W=1200,fs=[].slice.call(document.querySelectorAll('g.f'));\n"
	"var by=function(id){return document.getElementById(id)},hover=by('hover'),reset=by('reset'),found=by('found');\n"
	"fs.forEach(function(g){g.l=+g.dataset.l;g.w=+g.dataset.w;g.d=+g.dataset.d;g.t=g.querySelector('title').textContent;"
	"g.n=g.dataset.n;g.r=g.querySelector('rect');g.x=g.querySelector('text')});\n"
	"function lay(vl,vw,depth){fs.forEach(function(g){\n"
	" var a=(g.l-vl)/vw*W,b=(g.l+g.w-vl)/vw*W,up=g.d<depth,e=1e-9;\n"
	" var show=g.l<vl+vw-e&&g.l+g.w>vl+e;if(a<0)a=0;if(b>W)b=W;\n"
	" g.style.display=show&&b-a>0.1?'':'none';g.classList.toggle('d',up);\n"
	" g.r.setAttribute('x',a);g.r.setAttribute('width',Math.max(b-a-.5,.1));g.x.setAttribute('x',a+3);\n"
	" var c=Math.floor((b-a-6)/6.6);g.x.textContent=c<3?'':g.n.length<=c?g.n:g.n.slice(0,c-2)+'..';});\n"
	" reset.style.display=vw<1?'':'none';}\n"
	"function search(q){var re=null,hit=[];try{re=q?new RegExp(q,'i'):null}catch(e){re=null}\n"
	" fs.forEach(function(g){var m=!!re&&re.test(g.n);g.classList.toggle('m',m);if(m)hit.push(g)});\n"
	" hit.sort(function(a,b){return a.l-b.l||a.d-b.d});var end=-1,sum=0;\n"
	" hit.forEach(function(g){if(g.l+1e-12>=end){sum+=g.w;end=g.l+g.w}});\n"
	" found.textContent=re?'matched '+(100*sum).toFixed(1)+'% ('+hit.length+')':'';}\n"
	"fs.forEach(function(g){g.addEventListener('click',function(){lay(g.l,g.w,g.d)});\n"
	" g.addEventListener('mouseover',function(){hover.textContent=g.t});\n"
	" g.addEventListener('mouseout',function(){hover.textContent=''});});\n"
	"reset.addEventListener('click',function(){lay(0,1,0)});\n"
	"function ask(){var q=window.prompt('Search (regular expression):','');if(q!==null)search(q)}\n"
	"by('search').addEventListener('click',ask);\n"
	"window.addEventListener('keydown',function(e){if((e.ctrlKey&&e.key==='f')||e.key==='/'){e.preventDefault();ask()}"
	"if(e.key==='Escape'){search('');lay(0,1,0)}});\n"
	"svg.preloomSearch=search;svg.preloomZoom=function(n){for(var i=0;i<fs.length;i++)if(fs[i].n===n){lay(fs[i].l,fs[i].w,"
	"fs[i].d);return true}return false};\n"
	"lay(0,1,0);})();";

/* Text and attributes; what XML does not allow becomes a question mark. */
static void put_escaped(FILE *f, const char *s, size_t n)
{
	for (; *s && n > 0; s++, n--) {
		unsigned char c = (unsigned char)*s;
		switch (c) {
		case '&': fputs("&amp;", f); break;
		case '<': fputs("&lt;", f); break;
		case '>': fputs("&gt;", f); break;
		case '"': fputs("&quot;", f); break;
		default: fputc(c < ' ' || c > '~' ? '?' : c, f);
		}
	}
}

/* By name, so that a function has its colour in every graph. Preloom's own and the pseudo frames are grey-blue. */
static void put_colour(FILE *f, const struct tree_node *n)
{
	uint32_t h = n->hash * 2654435761u;
	if (n->name[0] == '[' || n->name[0] == '(')
		fprintf(f, "rgb(%u,%u,%u)", 150 + h % 30, 175 + (h >> 8) % 30, 205 + (h >> 16) % 30);
	else
		fprintf(f, "rgb(%u,%u,%u)", 225 + h % 30, 95 + (h >> 8) % 110, 40 + (h >> 16) % 45);
}

struct drawing {
	FILE *f;
	const struct proftree *p;
	int depth; /* of the deepest call that is drawn */
};

static int deepest(const struct tree_node *n, double whole, int depth)
{
	int most = depth - 1;
	for (; n; n = n->next) {
		if ((double)n->total / whole < LEAST)
			continue;
		int d = depth < MAX_DEPTH ? deepest(n->child, whole, depth + 1) : depth;
		most = d > most ? d : most;
	}
	return most > depth - 1 ? most : depth - 1;
}

static void draw(struct drawing *d, const struct tree_node *n, double left, int depth)
{
	char value[32];
	double whole = (double)d->p->root.total, w = (double)n->total / whole, x = left * WIDTH;
	if (w < LEAST || depth > d->depth)
		return;
	int y = TOP + (d->depth - depth) * ROW, room = (int)((w * WIDTH - 6) / CHAR_WIDTH);
	fprintf(d->f, "<g class=\"f\" data-l=\"%.9f\" data-w=\"%.9f\" data-d=\"%d\" data-n=\"", left, w, depth);
	put_escaped(d->f, n->name, 400);
	fputs("\"><title>", d->f);
	put_escaped(d->f, n->name, 1000);
	fprintf(d->f, " - %s, %.2f%%</title><rect x=\"%.2f\" y=\"%d\" width=\"%.2f\" height=\"%d\" rx=\"1\" fill=\"",
		prof_format_value(value, sizeof(value), n->total, d->p->unit), 100 * w, x, y,
		w * WIDTH > 0.6 ? w * WIDTH - 0.5 : 0.1, ROW - 1);
	put_colour(d->f, n);
	fprintf(d->f, "\"/><text x=\"%.2f\" y=\"%d\">", x + 3, y + 12);
	if (room >= 3) {
		bool fits = strlen(n->name) <= (size_t)room;
		put_escaped(d->f, n->name, fits ? (size_t)room : (size_t)room - 2);
		fputs(fits ? "" : "..", d->f);
	}
	fputs("</text></g>\n", d->f);
	double at = left;
	for (const struct tree_node *c = n->child; c; c = c->next) {
		draw(d, c, at, depth + 1);
		at += (double)c->total / whole;
	}
}

void prof_write_svg(FILE *f, const struct proftree *p, const char *title, const char *subtitle)
{
	struct drawing d = { f, p, 0 };
	double whole = p->root.total > 0 ? (double)p->root.total : 1;
	d.depth = deepest(p->root.child, whole, 1);
	int height = TOP + (d.depth + 1) * ROW + BOTTOM;
	fprintf(f,
		"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
		"<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\">\n"
		"<style>%s</style>\n<rect width=\"100%%\" height=\"100%%\" fill=\"#fdfcf8\"/>\n"
		"<text class=\"t\" x=\"10\" y=\"24\">",
		(int)WIDTH, height, (int)WIDTH, height, style);
	put_escaped(f, title, 200);
	fputs("</text><text class=\"s\" x=\"10\" y=\"44\">", f);
	put_escaped(f, subtitle, 200);
	fprintf(f,
		"</text>\n<text id=\"reset\" class=\"b\" x=\"%d\" y=\"24\" style=\"display:none\">Reset zoom</text>"
		"<text id=\"search\" class=\"b\" x=\"%d\" y=\"24\">Search</text>"
		"<text id=\"found\" x=\"%d\" y=\"44\"></text><text id=\"hover\" x=\"10\" y=\"%d\"></text>\n",
		(int)WIDTH - 160, (int)WIDTH - 60, (int)WIDTH - 160, height - 9);
	if (p->root.total > 0)
		draw(&d, &p->root, 0, 0);
	else
		fprintf(f, "<text x=\"10\" y=\"%d\">nothing was recorded</text>\n", TOP + 12);
	fprintf(f, "<script><![CDATA[\n%s\n]]></script>\n</svg>\n", script);
}
