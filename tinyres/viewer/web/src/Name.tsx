/** A name; a long one breaks after its dots rather than in a word. */
export const Name = ({ name }: { name: string }) => (
  <>
    {name.split(/(?<=\.)(?=\w)/).map((part, i) => (
      <>
        {i > 0 && <wbr />}
        {part}
      </>
    ))}
  </>
);
