/*
 * The panel's firmware: ATmega328P (Uno, Nano, Pro Mini) at 16 MHz, bare avr-libc.
 * What it says on the wire, its pins and its EEPROM: docs/panel-protocol.md.
 */
#ifndef PANEL_H
#define PANEL_H

#define F_CPU 16000000UL

#include <stdbool.h>
#include <stdint.h>

enum { version_major = 1, version_minor = 0 };

/* memory.c: what survives a loss of power */

/* flags */
#define LATCHED 0x01 /* the lid was open since the last clear */
#define DAMAGED 0x02 /* records were there, and none of them was whole */

struct facts {
	uint32_t counter; /* of events: every opening, start and clear adds one */
	uint32_t starts;  /* of this firmware: before each the lid was not watched */
	uint32_t seen;    /* `starts` at the last clear */
	uint8_t flags;
};
extern struct facts facts;

enum { serial_bytes = 8 };

void memory_load(void);
void memory_event(void); /* counts an event and keeps `facts` */
bool memory_step(void);  /* goes on with keeping them; true when that is done */
bool memory_serial(uint8_t serial[serial_bytes]);
bool memory_set_serial(const uint8_t serial[serial_bytes]); /* once in a life */

/* serial.c: 57600 baud, 8N1, both ways through rings of 255 bytes */

void serial_start(void);
void serial_stop(void);
bool serial_get(uint8_t *byte);
void serial_put(uint8_t byte);

/* twi.c: the display's bus, 100 kHz; a bus that hangs is given up, never waited for */

void twi_start(void);
void twi_stop(void);
bool twi_write(uint8_t address, const uint8_t *bytes, uint8_t count);
bool twi_read(uint8_t address, uint8_t *bytes, uint8_t count);

/* firmata.c: the host's words and ours */

enum answer { unasked, query, cleared, stale, lid_open, serial_set, serial_taken };

void firmata_start(void);
void firmata_take(uint8_t byte);
void firmata_report(enum answer answer);
void firmata_inputs(void); /* to a host that asked for changes of the inputs */

/* panel.c: lid, button, light, buzzer, time */

struct panel {
	bool open;
	bool pressed;
	uint32_t kept; /* losses of supply in which the coin cell kept us watching */
};
extern struct panel panel;

uint32_t milliseconds(void); /* awake, since the start */
void panel_write(uint8_t pin, bool high);
void panel_dark(void);
void panel_heard(void);              /* a sign of life of the host */
enum answer panel_clear(uint32_t counter);

/* Arduino's pin numbers */
enum { pin_lid = 2, pin_button = 3, pin_red = 8, pin_buzzer = 9, pin_green = 12, pin_blue = 13, pin_supply = 14, pin_sda = 18, pin_scl = 19, pin_count = 20 };

#endif
