/* SPDX-License-Identifier: Apache-2.0 */
/* The wish of the user, or of the system, that the search ends. */
#ifndef TUNE_INTERRUPT_H
#define TUNE_INTERRUPT_H

/* From now on SIGINT, SIGTERM and SIGHUP end nothing by themselves; they are only noted. */
void tune_interrupt_catch(void);

/* Undoes that, in a child. */
void tune_interrupt_release(void);

/* The number of the last signal that was noted; 0 = none. */
int tune_interrupt_signal(void);

#endif
