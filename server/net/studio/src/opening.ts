// Files that the artist adds. The server reads them; what the page can tell before is told at once, without sending them.
import { type Calls, Problem } from "./calls";
import { t } from "./language";
import type { FileRead } from "./protocol";

const LEAST = 4; // bytes; the protocol knows no smaller files, and there is no smaller picture
const MB = 2 ** 20;

/**
 * What the server reads from a file.
 *
 * @param most size of the largest file that the server reads, in bytes; 0 if it reads none.
 */
export async function opened(file: File, calls: Calls, most: number): Promise<FileRead> {
  const { name, size } = file;
  if (most === 0) throw new Problem(t("This server reads no files. Update it."));
  if (size > most) {
    const values = { name, size: Math.ceil(size / MB), most: Math.floor(most / MB) };
    throw new Problem(t("“{name}” has {size} MB, and the server reads at most {most} MB.", values));
  }
  const bytes = await file.arrayBuffer().catch(() => {
    throw new Problem(t("“{name}” cannot be read. It may be a folder, or it is not there any more.", { name }));
  });
  if (bytes.byteLength < LEAST) throw new Problem(t("“{name}” is empty.", { name }));
  return calls.read(await calls.upload(new Uint8Array(bytes), true), name);
}
