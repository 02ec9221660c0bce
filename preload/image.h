/* image.h - the decoder library's image inside our text.
 */
#ifndef PRELOOM_IMAGE_H
#define PRELOOM_IMAGE_H

/* Makes the library's functions callable, the first time. 0 or -errno. */
int image_link(void);

#endif
