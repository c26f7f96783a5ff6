/* Forms with files: multipart/form-data, whole in memory.
 *
 *     --BOUNDARY CRLF  fields CRLF CRLF  data CRLF --BOUNDARY ... --BOUNDARY-- */
#ifndef CLI_MULTIPART_H
#define CLI_MULTIPART_H

#include "http.h"

typedef struct multipart {
  const char *at, *end;
  http_slice boundary;
} multipart;

typedef struct multipart_part {
  http_slice name, filename; /* filename without data: the part is no file */
  http_slice data;
} multipart_part;

/* Begins with a body and the Content-Type of its request, both of which it points into. False: this is no form with files. */
bool multipart_open(multipart *m, http_slice content_type, const char *body, size_t size);

/* The next part: 1; 0: there are no more; -1: the form is damaged or cut off. */
int multipart_next(multipart *m, multipart_part *part);

#endif
