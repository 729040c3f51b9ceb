// Files out of a drop, a paste or the browser's own dialog.

/** Files of one drop, folders walked through. */
const MOST_FILES = 2000;

export const holdsFiles = (data: DataTransfer | null): boolean => data !== null && [...data.types].includes("Files");

/** The files of a drop; those of folders too, where the browser shows them. */
export async function filesOf(data: DataTransfer): Promise<File[]> {
  // Both have to be taken before the first pause: afterwards the drop is empty.
  const entries = [...data.items].map((item) => item.webkitGetAsEntry?.() ?? null);
  const plain = [...data.files];
  if (!entries.some((entry) => entry?.isDirectory)) return plain;
  const found: File[] = [];
  for (const entry of entries) if (entry) await walk(entry, found);
  return found;
}

async function walk(entry: FileSystemEntry, found: File[]): Promise<void> {
  // Names that begin with a dot are a program's, not a person's.
  if (found.length >= MOST_FILES || entry.name.startsWith(".")) return;
  if (entry.isFile) {
    found.push(await new Promise<File>((done, fail) => (entry as FileSystemFileEntry).file(done, fail)));
    return;
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  for (;;) {
    const some = await new Promise<FileSystemEntry[]>((done, fail) => reader.readEntries(done, fail));
    if (some.length === 0) return;
    for (const one of some) await walk(one, found);
  }
}

/** Lets the person choose files. */
export function pickFiles(onChosen: (files: File[]) => void): void {
  const input = document.createElement("input");
  input.type = "file";
  input.multiple = true;
  input.id = "pick-files";
  input.hidden = true;
  input.onchange = () => {
    onChosen([...(input.files ?? [])]);
    input.remove();
  };
  input.oncancel = () => input.remove();
  document.getElementById("pick-files")?.remove();
  document.body.append(input);
  input.click();
}
