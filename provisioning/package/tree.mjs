import { chmodSync, copyFileSync, existsSync, lutimesSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";

/** The package's files, below one folder. What is put there has no time, no owner and no rights of its own. */
export class Tree {
  constructor(top) {
    this.top = top;
  }

  write(path, content, mode = 0o644) {
    const file = join(this.top, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, content);
    chmodSync(file, mode);
  }

  copy(from, path, mode = 0o644) {
    const file = join(this.top, path);
    mkdirSync(dirname(file), { recursive: true });
    copyFileSync(from, file);
    chmodSync(file, mode);
  }

  link(target, path) {
    mkdirSync(dirname(join(this.top, path)), { recursive: true });
    symlinkSync(target, join(this.top, path));
  }

  /** Every file, in the order of its name. */
  files() {
    return readdirSync(this.top, { recursive: true, withFileTypes: true }).filter((entry) => !entry.isDirectory())
      .map((entry) => relative(this.top, join(entry.parentPath, entry.name))).sort();
  }

  bytes() {
    return this.files().reduce((sum, file) => sum + (existsSync(join(this.top, file)) ? statSync(join(this.top, file)).size : 0), 0);
  }

  /** One moment for all, so that the same sources are the same package. */
  date(seconds) {
    for (const entry of [...readdirSync(this.top, { recursive: true }), "."]) lutimesSync(join(this.top, entry), seconds, seconds);
    for (const entry of readdirSync(this.top, { recursive: true, withFileTypes: true })) if (entry.isDirectory()) chmodSync(join(entry.parentPath, entry.name), 0o755);
    chmodSync(this.top, 0o755);
  }
}

export function readText(...path) {
  return readFileSync(join(...path), "utf8");
}
