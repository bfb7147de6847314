import { crc32, inflateSync } from "node:zlib";
import t from "tap";
import { decodeQR } from "qr/decode.js";
import { labelLines, labelPng, labelText, short, type Label } from "../../provisioning/machine/label.ts";
import { png } from "../../provisioning/machine/png.ts";

const label: Label = { site: "plant", box: "box-1", fingerprint: "GbxVu4eLx6E5TY_a7K3Y1xJVcrTNPhzS_RpYocwJL00" };
const text = "shardkeep:box?site=plant&box=box-1&key=GbxVu4eLx6E5TY_a7K3Y1xJVcrTNPhzS_RpYocwJL00";

/** A PNG of one bit a pixel, read by the letter of RFC 2083, as the decoder wants a picture. */
function pixels(file: Buffer): { width: number; height: number; data: Uint8Array } {
  const chunks = new Map<string, Buffer>();
  for (let at = 8; at < file.length;) {
    const length = file.readUInt32BE(at);
    t.equal(file.readUInt32BE(at + 8 + length), crc32(file.subarray(at + 4, at + 8 + length)));
    chunks.set(file.toString("latin1", at + 4, at + 8), file.subarray(at + 8, at + 8 + length));
    at += 12 + length;
  }
  const [width, height] = [chunks.get("IHDR")!.readUInt32BE(0), chunks.get("IHDR")!.readUInt32BE(4)];
  const rows = inflateSync(chunks.get("IDAT")!);
  const stride = 1 + Math.ceil(width / 8);
  t.equal(rows.length, stride * height);
  const data = new Uint8Array(width * height * 4).fill(255);
  for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) if ((rows[y * stride + 1 + (x >> 3)]! & (0x80 >> (x & 7))) === 0) data.fill(0, (y * width + x) * 4, (y * width + x) * 4 + 3);
  return { width, height, data };
}

void t.test("the code reads as what it should say", (t) => {
  t.equal(labelText(label), text);
  t.equal(short(label), "GbxV u4eL x6E5");
  t.equal(decodeQR(pixels(labelPng(label))), text, "as PNG");
  const lines = labelLines(label);
  const [width, scale] = [lines[0]!.length, 4];
  const light = (x: number, y: number): boolean => (y % 2 === 0 ? "█▀" : "█▄").includes(lines[y >> 1]?.[x] ?? " ");
  const dark = Array.from({ length: lines.length * 2 }, (_, y) => Array.from({ length: width }, (_, x) => !light(x, y)));
  t.equal(decodeQR(pixels(png(dark, scale))), text, "as a terminal shows it");
  t.end();
});

void t.test("a PNG's head, byte by byte", (t) => {
  t.equal(png([[true, false], [false, true]], 1).subarray(0, 33).toString("hex"), "89504e470d0a1a0a0000000d49484452000000020000000201000000005acd3089");
  t.end();
});
