/* The UART. Indices of one byte run round by themselves in a ring of 256. */
#include "panel.h"

#include <avr/interrupt.h>
#include <avr/io.h>

struct ring {
	uint8_t bytes[256];
	volatile uint8_t head; /* the next to be written */
	volatile uint8_t tail; /* the next to be read; equal to head: empty */
};
static struct ring from_host, to_host;

/* 16 MHz / 8 / 57600 - 1, rounded: 0.8 % slow, of 2 % allowed */
enum { divider = 34 };

void serial_start(void)
{
	from_host.head = from_host.tail = 0;
	to_host.head = to_host.tail = 0;
	UCSR0A = _BV(U2X0);
	UBRR0 = divider;
	UCSR0C = _BV(UCSZ01) | _BV(UCSZ00);
	UCSR0B = _BV(RXEN0) | _BV(TXEN0) | _BV(RXCIE0);
}

/* Lets go of the line: a pin that is high would feed the host's adapter from the coin cell. */
void serial_stop(void)
{
	UCSR0B = 0;
}

ISR(USART_RX_vect)
{
	uint8_t byte = UDR0;
	uint8_t next = from_host.head + 1;
	if (next == from_host.tail)
		return;
	from_host.bytes[from_host.head] = byte;
	from_host.head = next;
}

ISR(USART_UDRE_vect)
{
	UDR0 = to_host.bytes[to_host.tail++];
	if (to_host.head == to_host.tail)
		UCSR0B &= ~_BV(UDRIE0);
}

bool serial_get(uint8_t *byte)
{
	if (from_host.head == from_host.tail)
		return false;
	*byte = from_host.bytes[from_host.tail++];
	return true;
}

void serial_put(uint8_t byte)
{
	uint8_t next = to_host.head + 1;
	/* The line never stops taking bytes, whether somebody reads them or not. */
	while (next == to_host.tail)
		;
	to_host.bytes[to_host.head] = byte;
	to_host.head = next;
	UCSR0B |= _BV(UDRIE0);
}
