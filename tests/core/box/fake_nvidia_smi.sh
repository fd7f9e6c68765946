# Plays nvidia-smi from a folder of its words: fails as the real one does on a field that the folder's
# driver does not know, and prints only the columns asked for. DATA is set in front of this.
if [ -e "$DATA/fails" ]; then
  tail -n +2 "$DATA/fails"
  exit "$(head -n 1 "$DATA/fails")"
fi
case ${1:-} in
  --query-gpu=*)
    exec awk -v wanted="${1#--query-gpu=}" -F ', ' '
      BEGIN { count = split(wanted, asked, ","); alias["clocks.sm"] = "clocks.current.sm" }
      NR == 1 {
        for (i = 1; i <= NF; i++) { name = $i; sub(/ \[.*/, "", name); column[name] = i }
        for (i = 1; i <= count; i++) {
          name = asked[i] in alias ? alias[asked[i]] : asked[i]
          if (!(name in column)) {
            printf "Field \"%s\" is not a valid field to query.\n\n", asked[i]
            exit 2
          }
          place[i] = column[name]
        }
      }
      { for (i = 1; i <= count; i++) printf "%s%s", $place[i], (i < count ? ", " : "\n") }
    ' "$DATA/gpu.csv" ;;
  --query-compute-apps=*) exec cat "$DATA/apps.csv" ;;
  --query-remapped-rows=*)
    if [ ! -e "$DATA/remapped.csv" ]; then
      echo "Invalid combination of input arguments. Please run 'nvidia-smi -h' for help."
      exit 1
    fi
    exec cat "$DATA/remapped.csv" ;;
  -L) exec cat "$DATA/list.txt" ;;
  '') exec cat "$DATA/header.txt" ;;
  *) echo "Invalid option: $1" && exit 2 ;;
esac
