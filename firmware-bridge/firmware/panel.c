/*
 * A panel that a security appliance can rest on: whether its lid was open is latched here, in a memory that
 * survives a host that is away and a loss of power, and forgotten only by a command that names the very event.
 */
#include "panel.h"

#include <avr/interrupt.h>
#include <avr/io.h>
#include <avr/power.h>
#include <avr/sleep.h>
#include <util/atomic.h>
#include <util/delay.h>

/* Lid and button connect to ground; the lid's contact is closed while the lid is, so that a cut wire is an open lid. */
enum { lid_bit = _BV(PD2), button_bit = _BV(PD3), red_bit = _BV(PB0), buzzer_bit = _BV(PB1), green_bit = _BV(PB4), blue_bit = _BV(PB5), supply_bit = _BV(PC0) };
enum { settle_ms = 20, supply_ms = 2 };
static const uint32_t silence_ms = 10000; /* the host asks every 2 s */

struct panel panel;

static volatile uint32_t ticks;
static uint32_t heard;
static uint8_t wanted; /* of PORTB, by the host */

ISR(TIMER0_COMPA_vect)
{
	ticks++;
}

uint32_t milliseconds(void)
{
	uint32_t now;
	ATOMIC_BLOCK(ATOMIC_RESTORESTATE) { now = ticks; }
	return now;
}

void panel_heard(void)
{
	heard = milliseconds();
}

static void set(uint8_t bit, bool high)
{
	wanted = high ? wanted | bit : wanted & ~bit;
}

/* Pins that are no outputs have nothing to be written. */
void panel_write(uint8_t pin, bool high)
{
	switch (pin) {
	case pin_red: set(red_bit, high); break;
	case pin_buzzer: set(buzzer_bit, high); break;
	case pin_green: set(green_bit, high); break;
	case pin_blue: set(blue_bit, high); break;
	}
}

void panel_dark(void)
{
	wanted = 0;
}

/* The dead man's light: what the host last showed would be a lie, so two short red flashes every two seconds. */
static void show(uint32_t now)
{
	uint16_t phase = now & 0x7ff;
	if (now - heard < silence_ms)
		PORTB = wanted;
	else
		PORTB = phase < 64 || (phase >= 256 && phase < 320) ? red_bit : 0;
}

static void opened(void)
{
	facts.flags |= LATCHED;
	memory_event();
}

enum answer panel_clear(uint32_t counter)
{
	if (counter != facts.counter)
		return stale;
	if (panel.open)
		return lid_open;
	facts.flags = 0;
	facts.seen = facts.starts;
	memory_event();
	return cleared;
}

/* Counts how long an input has differed from what is known of it; each has its own count, so that none can hide another. */
static bool settled(bool level, bool *known, uint8_t *count)
{
	if (level == *known) {
		*count = 0;
		return false;
	}
	if (++*count < settle_ms)
		return false;
	*count = 0;
	*known = level;
	return true;
}

static void watch(void)
{
	static uint8_t lid_count, button_count;
	bool lid = settled(PIND & lid_bit, &panel.open, &lid_count);
	bool button = settled(!(PIND & button_bit), &panel.pressed, &button_count);
	if (lid && panel.open)
		opened();
	if (lid || button) {
		firmata_report(unasked);
		firmata_inputs();
	}
}

/* The coin cell */

static volatile bool changed;

ISR(PCINT1_vect)
{
	changed = true;
}
ISR(PCINT2_vect, ISR_ALIASOF(PCINT1_vect));

/* Whether all of `bits` is high, once it has not changed for 20 ms. The clock is an eighth, so delays are eight times. */
static bool steady(volatile const uint8_t *port, uint8_t bit)
{
	bool level = *port & bit;
	for (uint8_t i = 0; i < settle_ms; i++) {
		_delay_us(1000 / 8);
		if (level != (bool)(*port & bit)) {
			level = !level;
			i = 0;
		}
	}
	return level;
}

/* Sleeps until a pin changes that is watched, unless one has already. */
static void sleep_until_changed(void)
{
	set_sleep_mode(SLEEP_MODE_PWR_DOWN);
	cli();
	if (!changed) {
		sleep_enable();
		sleep_bod_disable();
		sei();
		sleep_cpu();
		sleep_disable();
	}
	sei();
	changed = false;
}

static void start(void)
{
	PORTD = lid_bit | button_bit;
	PORTC = supply_bit; /* pulled up: a panel without a coin cell may leave it unconnected */
	serial_start();
	panel_dark();
	panel_heard();
	firmata_start();
}

/*
 * The supply has gone and a coin cell feeds us: dark and asleep, but an opening wakes us and is latched.
 * 3 V carry 2 MHz, not 16. The lid's pull-up is an outer one of 1 MOhm: ours would empty the cell in months.
 */
static void watch_on_cell(void)
{
	PORTD = button_bit;
	PORTB = 0;
	PORTC = 0;
	clock_prescale_set(clock_div_8);
	serial_stop();
	twi_stop();
	PCMSK1 = _BV(PCINT8);
	PCMSK2 = _BV(PCINT18);
	PCIFR = _BV(PCIF1) | _BV(PCIF2);
	PCICR = _BV(PCIE1) | _BV(PCIE2);
	for (;;) {
		bool open = steady(&PIND, lid_bit);
		if (open && !panel.open)
			opened();
		panel.open = open;
		while (!memory_step())
			;
		if (steady(&PINC, supply_bit))
			break;
		sleep_until_changed();
	}
	PCICR = 0;
	clock_prescale_set(clock_div_1);
	panel.kept++;
	start();
}

int main(void)
{
	DDRB = red_bit | buzzer_bit | green_bit | blue_bit;
	ACSR = _BV(ACD);
	PRR = _BV(PRTIM1) | _BV(PRTIM2) | _BV(PRSPI) | _BV(PRADC);
	TCCR0A = _BV(WGM01);
	TCCR0B = _BV(CS01) | _BV(CS00);
	OCR0A = F_CPU / 64 / 1000 - 1;
	TIMSK0 = _BV(OCIE0A);

	memory_load();
	facts.starts++;
	memory_event();
	sei();
	start();

	uint8_t without_supply = 0;
	uint32_t last = milliseconds();
	for (;;) {
		uint8_t byte;
		while (serial_get(&byte))
			firmata_take(byte);
		uint32_t now = milliseconds();
		if (now != last) {
			last = now;
			watch();
			show(now);
			without_supply = PINC & supply_bit ? 0 : without_supply + 1;
			if (without_supply >= supply_ms) {
				watch_on_cell();
				without_supply = 0;
			}
		}
		memory_step();
		/* Until the next tick or byte. */
		set_sleep_mode(SLEEP_MODE_IDLE);
		sleep_mode();
	}
}
