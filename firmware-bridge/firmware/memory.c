/*
 * The EEPROM: who this panel is, and a ring of records of which the newest whole one counts. A record is
 * written beside the last one, its checksum last: power that fails meanwhile leaves the old one in force.
 * Sixteen places of 100,000 writes each last for over a million events.
 */
#include "panel.h"

#include <avr/eeprom.h>
#include <string.h>
#include <util/crc16.h>

struct record {
	struct facts facts;
	uint8_t spare;
	uint16_t checksum;
};
struct identity {
	uint8_t serial[serial_bytes];
	uint16_t checksum;
};
enum { identity_at = 0x000, records_at = 0x020, slots = 16, record_bytes = sizeof(struct record) };
_Static_assert(record_bytes == 16, "docs/panel-protocol.md gives this layout");

struct facts facts;

static struct record writing;
static uint8_t written = record_bytes; /* bytes of `writing` that are in the EEPROM */
static uint8_t slot;                   /* of the newest whole record, or of the one being written */
static bool again;                     /* the facts have changed since `writing` was made of them */

static uint16_t checksum(const void *bytes, uint8_t count)
{
	const uint8_t *next = bytes;
	uint16_t sum = 0xffff;
	while (count--)
		sum = _crc_ccitt_update(sum, *next++);
	return sum;
}

static uint8_t *place(uint8_t of)
{
	return (uint8_t *)(uintptr_t)(records_at + of * record_bytes);
}

static bool blank(const void *bytes, uint8_t count)
{
	const uint8_t *next = bytes;
	while (count--)
		if (*next++ != 0xff)
			return false;
	return true;
}

void memory_load(void)
{
	struct record record;
	bool found = false, used = false;
	for (uint8_t i = 0; i < slots; i++) {
		eeprom_read_block(&record, place(i), record_bytes);
		used = used || !blank(&record, record_bytes);
		if (record.checksum != checksum(&record, record_bytes - sizeof record.checksum))
			continue;
		if (found && record.facts.counter <= facts.counter)
			continue;
		found = true;
		facts = record.facts;
		slot = i;
	}
	/* Whoever can spoil every record does not get a panel without a past. */
	if (!found && used)
		facts.flags = LATCHED | DAMAGED;
}

void memory_event(void)
{
	facts.counter++;
	again = true;
}

bool memory_step(void)
{
	if (!eeprom_is_ready())
		return false;
	if (written < record_bytes) {
		const uint8_t *bytes = (const uint8_t *)&writing;
		eeprom_update_byte(place(slot) + written, bytes[written]);
		written++;
		return false;
	}
	if (!again)
		return true;
	again = false;
	memset(&writing, 0, sizeof writing);
	writing.facts = facts;
	writing.checksum = checksum(&writing, record_bytes - sizeof writing.checksum);
	slot = (slot + 1) % slots;
	written = 0;
	return false;
}

bool memory_serial(uint8_t serial[serial_bytes])
{
	struct identity identity;
	eeprom_read_block(&identity, (const void *)identity_at, sizeof identity);
	memcpy(serial, identity.serial, serial_bytes);
	return identity.checksum == checksum(identity.serial, serial_bytes);
}

bool memory_set_serial(const uint8_t serial[serial_bytes])
{
	struct identity identity;
	if (memory_serial(identity.serial))
		return false;
	memcpy(identity.serial, serial, serial_bytes);
	identity.checksum = checksum(serial, serial_bytes);
	/* Waits for 34 ms, once in a life. */
	eeprom_update_block(&identity, (void *)identity_at, sizeof identity);
	return true;
}
