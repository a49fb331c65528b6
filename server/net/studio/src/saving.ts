/** Gives a file to the browser's downloads. */
export function save(bytes: Uint8Array<ArrayBuffer>, title: string, ending: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([bytes], { type: "application/octet-stream" }));
  link.download = `${fileName(title)}.${ending}`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000); // the download has begun by then
}

/** A title without what file systems do not like. */
export function fileName(title: string): string {
  const plain = title.replace(/[^\p{L}\p{N}]+/gu, " ").trim().slice(0, 60).trim();
  return plain === "" ? "picture" : plain;
}
