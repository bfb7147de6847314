/* The two-wire bus as its only master (ATmega328P datasheet, 22.7). */
#include "panel.h"

#include <avr/io.h>
#include <util/delay.h>
#include <util/twi.h>

enum { divider = 72 /* 16 MHz / (16 + 2 * 72) = 100 kHz, with the prescaler as it is after a reset */, patience = 100 /* steps of 10 us; a byte takes 90 us */ };

void twi_start(void)
{
	TWBR = divider;
	TWCR = _BV(TWEN);
}

void twi_stop(void)
{
	TWCR = 0;
}

/* One action of the bus, and whether it ended in `status`. */
static bool act(uint8_t control, uint8_t status)
{
	TWCR = _BV(TWINT) | _BV(TWEN) | control;
	for (uint8_t i = 0; i < patience; i++) {
		if (TWCR & _BV(TWINT))
			return TW_STATUS == status;
		_delay_us(10);
	}
	return false;
}

static bool begin(uint8_t address_and_direction, uint8_t status)
{
	if (!act(_BV(TWSTA), TW_START))
		return false;
	TWDR = address_and_direction;
	return act(0, status);
}

static bool end(bool well)
{
	if (TWCR & _BV(TWINT)) {
		TWCR = _BV(TWINT) | _BV(TWEN) | _BV(TWSTO);
		for (uint8_t i = 0; i < patience && (TWCR & _BV(TWSTO)); i++)
			_delay_us(10);
	}
	/* Somebody holds a wire: begin anew with the next message. */
	if (TWCR & _BV(TWSTO) || !(TWCR & _BV(TWEN)) || !well)
		twi_stop(), twi_start();
	return well;
}

bool twi_write(uint8_t address, const uint8_t *bytes, uint8_t count)
{
	bool well = begin(address << 1 | TW_WRITE, TW_MT_SLA_ACK);
	while (well && count--) {
		TWDR = *bytes++;
		well = act(0, TW_MT_DATA_ACK);
	}
	return end(well);
}

bool twi_read(uint8_t address, uint8_t *bytes, uint8_t count)
{
	bool well = begin(address << 1 | TW_READ, TW_MR_SLA_ACK);
	while (well && count--) {
		well = count > 0 ? act(_BV(TWEA), TW_MR_DATA_ACK) : act(0, TW_MR_DATA_NACK);
		*bytes++ = TWDR;
	}
	return end(well);
}
