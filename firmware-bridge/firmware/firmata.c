/*
 * Firmata 2.5 as far as a panel needs it, and one sysex of our own. Whatever is not known, does not fit or
 * stops in the middle is dropped: the next byte above 0x7f begins anew.
 */
#include "panel.h"

#include <avr/pgmspace.h>
#include <string.h>

enum {
	digital_message = 0x90, report_analog = 0xc0, report_digital = 0xd0, analog_message = 0xe0,
	start_sysex = 0xf0, set_pin_mode = 0xf4, set_pin_value = 0xf5, end_sysex = 0xf7, report_version = 0xf9, system_reset = 0xff,
};
enum { /* the first byte of a sysex */
	panel_message = 0x0a, analog_mapping = 0x69, analog_mapping_reply = 0x6a, capabilities = 0x6b, capabilities_reply = 0x6c,
	i2c_request = 0x76, i2c_reply = 0x77, i2c_config = 0x78, report_firmware = 0x79,
};
enum { mode_input = 0, mode_output = 1, mode_i2c = 6, mode_pullup = 11, one_bit = 1, none = 0x7f };
enum { i2c_write = 0x00, i2c_read_once = 0x08, i2c_most = 16 };
enum { panel_query = 0x00, panel_report = 0x01, panel_clears = 0x02, panel_serial = 0x03 };

static uint8_t command, wanted, have, data[2];
static bool in_sysex;
static uint8_t sysex[64], length; /* longer than the buffer: too long, dropped */
static bool reporting;

static void put_pair(uint8_t byte)
{
	serial_put(byte & 0x7f);
	serial_put(byte >> 7);
}

static uint8_t pair(const uint8_t *at)
{
	return at[0] | at[1] << 7;
}

static void tell_version(void)
{
	serial_put(report_version);
	serial_put(2);
	serial_put(5);
}

static void tell_firmware(void)
{
	static const char name[] PROGMEM = "shardkeep-panel";
	serial_put(start_sysex);
	serial_put(report_firmware);
	serial_put(version_major);
	serial_put(version_minor);
	for (uint8_t i = 0; i < sizeof name - 1; i++)
		put_pair(pgm_read_byte(&name[i]));
	serial_put(end_sysex);
}

static void tell_mode(uint8_t mode)
{
	serial_put(mode);
	serial_put(one_bit);
}

/* Every pin has one use. What the host cannot turn into an output, it cannot blind. */
static void tell_capabilities(void)
{
	serial_put(start_sysex);
	serial_put(capabilities_reply);
	for (uint8_t pin = 0; pin < pin_count; pin++) {
		switch (pin) {
		case pin_lid: case pin_button: tell_mode(mode_input); tell_mode(mode_pullup); break;
		case pin_red: case pin_buzzer: case pin_green: case pin_blue: tell_mode(mode_output); break;
		case pin_sda: case pin_scl: tell_mode(mode_i2c); break;
		}
		serial_put(none);
	}
	serial_put(end_sysex);
}

static void tell_analog_mapping(void)
{
	serial_put(start_sysex);
	serial_put(analog_mapping_reply);
	for (uint8_t pin = 0; pin < pin_count; pin++)
		serial_put(none);
	serial_put(end_sysex);
}

void firmata_inputs(void)
{
	if (!reporting)
		return;
	serial_put(digital_message);
	serial_put((panel.open ? 1 << pin_lid : 0) | (panel.pressed ? 0 : 1 << pin_button));
	serial_put(0);
}

static uint8_t sum;

static void put_summed(uint8_t byte)
{
	sum += byte;
	serial_put(byte);
}

/* Five times seven bits, the lowest first. */
static void put_number(uint32_t number)
{
	for (uint8_t i = 0; i < 5; i++, number >>= 7)
		put_summed(number & 0x7f);
}

void firmata_report(enum answer answer)
{
	uint8_t serial[serial_bytes];
	bool known = memory_serial(serial);
	serial_put(start_sysex);
	serial_put(panel_message);
	sum = 0;
	put_summed(panel_report);
	put_summed(answer);
	put_summed((panel.open ? 1 : 0) | (panel.pressed ? 2 : 0) | (facts.flags & LATCHED ? 4 : 0) | (facts.flags & DAMAGED ? 8 : 0) | (known ? 16 : 0));
	put_number(facts.counter);
	put_number(facts.starts);
	put_number(facts.seen);
	put_number(panel.kept);
	put_number(milliseconds() / 1000);
	for (uint8_t i = 0; i < serial_bytes; i++) {
		put_summed(known ? serial[i] & 0x7f : 0);
		put_summed(known ? serial[i] >> 7 : 0);
	}
	serial_put(sum & 0x7f);
	serial_put(end_sysex);
}

/* sysex: panel_message, command, content, sum of command and content */
static void take_panel_message(void)
{
	if (length < 3)
		return;
	uint8_t wanted_sum = 0;
	for (uint8_t i = 1; i < length - 1; i++)
		wanted_sum += sysex[i];
	if ((wanted_sum & 0x7f) != sysex[length - 1])
		return;
	uint8_t count = length - 3;
	const uint8_t *content = sysex + 2;
	if (sysex[1] == panel_query && count == 0) {
		panel_heard();
		firmata_report(query);
	} else if (sysex[1] == panel_clears && count == 5) {
		uint32_t counter = 0;
		for (uint8_t i = 5; i-- > 0;)
			counter = counter << 7 | content[i];
		panel_heard();
		firmata_report(panel_clear(counter));
	} else if (sysex[1] == panel_serial && count == 2 * serial_bytes) {
		uint8_t serial[serial_bytes];
		for (uint8_t i = 0; i < serial_bytes; i++)
			serial[i] = pair(content + 2 * i);
		panel_heard();
		firmata_report(memory_set_serial(serial) ? serial_set : serial_taken);
	}
}

/* sysex: i2c_request, address, mode, bytes in pairs */
static void take_i2c_request(void)
{
	if (length < 3)
		return;
	uint8_t bytes[(sizeof sysex - 3) / 2];
	uint8_t count = 0;
	for (uint8_t at = 3; at + 1 < length; at += 2)
		bytes[count++] = pair(sysex + at);
	if (sysex[2] == i2c_write) {
		twi_write(sysex[1], bytes, count);
	} else if (sysex[2] == i2c_read_once && count == 1 && bytes[0] > 0 && bytes[0] <= i2c_most) {
		uint8_t asked = bytes[0];
		if (!twi_read(sysex[1], bytes, asked))
			return;
		serial_put(start_sysex);
		serial_put(i2c_reply);
		put_pair(sysex[1]);
		put_pair(0); /* no register was named */
		for (uint8_t i = 0; i < asked; i++)
			put_pair(bytes[i]);
		serial_put(end_sysex);
	}
}

static void take_sysex(void)
{
	if (length == 0 || length > sizeof sysex)
		return;
	switch (sysex[0]) {
	case report_firmware: tell_firmware(); break;
	case capabilities: tell_capabilities(); break;
	case analog_mapping: tell_analog_mapping(); break;
	case i2c_config: twi_start(); break;
	case i2c_request: take_i2c_request(); break;
	case panel_message: take_panel_message(); break;
	}
}

static void take_port(uint8_t port, uint8_t levels)
{
	for (uint8_t bit = 0; bit < 8; bit++)
		panel_write(8 * port + bit, levels & 1 << bit);
}

static void take_message(void)
{
	if (command == set_pin_value)
		panel_write(data[0], data[1]);
	else if ((command & 0xf0) == digital_message)
		take_port(command & 0x0f, pair(data));
	else if (command == report_digital /* of port 0, which has all inputs */) {
		reporting = data[0];
		firmata_inputs();
	}
}

static void begin(uint8_t byte)
{
	command = byte;
	have = wanted = length = 0;
	in_sysex = byte == start_sysex;
	if (byte == report_version)
		tell_version();
	else if (byte == system_reset) {
		reporting = false;
		panel_dark();
	} else if (byte == set_pin_mode || byte == set_pin_value || (byte & 0xf0) == digital_message || (byte & 0xf0) == analog_message)
		wanted = 2;
	else if ((byte & 0xf0) == report_digital || (byte & 0xf0) == report_analog)
		wanted = 1;
}

void firmata_take(uint8_t byte)
{
	if (in_sysex && byte == end_sysex) {
		in_sysex = false;
		take_sysex();
	} else if (byte & 0x80) {
		begin(byte);
	} else if (in_sysex) {
		if (length < sizeof sysex)
			sysex[length] = byte;
		if (length <= sizeof sysex)
			length++;
	} else if (have < wanted) {
		data[have++] = byte;
		if (have == wanted) {
			wanted = 0;
			take_message();
		}
	}
}

void firmata_start(void)
{
	in_sysex = reporting = false;
	have = wanted = 0;
	tell_version();
	tell_firmware();
}
