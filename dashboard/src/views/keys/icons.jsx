// Signs for keys and directories.

/** A key or a directory; with `label` a directory is told of to those who cannot see it. */
export function KindIcon({ isDir, isOpen, label }) {
  const told =
    isDir && label ? { role: "img", "aria-label": "directory" } : { "aria-hidden": "true" };
  const common = {
    ...told,
    width: 16,
    height: 16,
    viewBox: "0 0 16 16",
    fill: "none",
    stroke: "currentColor",
    "stroke-width": 1.3,
    "stroke-linejoin": "round",
  };
  if (!isDir) {
    return (
      <svg {...common} class="kind">
        <path d="M4 1.7h5.2L12.5 5v9.3H4z" />
        <path d="M9 1.7V5h3.5" />
      </svg>
    );
  }
  return (
    <svg {...common} class="kind dir">
      {isOpen ? (
        <path d="M1.7 13V3.3h4.2l1.5 1.7h5.8v2M1.7 13l2-6h11l-2 6z" />
      ) : (
        <path d="M1.7 13V3.3h4.2l1.5 1.7h6.9V13z" />
      )}
    </svg>
  );
}
