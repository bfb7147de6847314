import { crc32, deflateSync } from "node:zlib";

/** PNG (RFC 2083) of black and white squares: eight-bit grey would be eight times the bytes for nothing. */
const signature = Buffer.from("89504e470d0a1a0a", "hex");

function chunk(type: string, data: Uint8Array): Buffer {
  const body = Buffer.concat([Buffer.from(type, "latin1"), data]);
  const frame = Buffer.alloc(8);
  frame.writeUInt32BE(data.length, 0);
  frame.writeUInt32BE(crc32(body), 4);
  return Buffer.concat([frame.subarray(0, 4), body, frame.subarray(4)]);
}

/** `dark` by rows, each square `scale` pixels wide. One bit a pixel, 0 is black. */
export function png(dark: readonly (readonly boolean[])[], scale: number): Buffer {
  const width = (dark[0]?.length ?? 0) * scale;
  const rows = dark.flatMap((row) => {
    const line = Buffer.alloc(1 + Math.ceil(width / 8));
    for (let x = 0; x < width; x++) {
      const byte = 1 + (x >> 3);
      if (row[Math.floor(x / scale)] !== true) line[byte] = (line[byte] ?? 0) | (0x80 >> (x & 7));
    }
    return Array.from({ length: scale }, () => line);
  });
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(rows.length, 4);
  header[8] = 1; // bits a pixel; colour type 0, grey
  return Buffer.concat([signature, chunk("IHDR", header), chunk("IDAT", deflateSync(Buffer.concat(rows))), chunk("IEND", new Uint8Array())]);
}
